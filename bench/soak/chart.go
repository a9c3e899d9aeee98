package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
)

// A chart has panels, one below the other, over the same time.
type chart struct {
	title  string
	end    float64 // seconds
	marks  []mark
	panels []panel
}

type panel struct {
	name   string
	log    bool // of the vertical axis
	curves []curve
}

type curve struct {
	name   string
	colour string
	x, y   []float64
}

// Colours that differ for the colour-blind too.
const blue, orange, green = "#0072b2", "#d55e00", "#009e73"

func (r *report) chart() chart {
	c := chart{title: fmt.Sprintf("h2loop, %v of mixed load, commit %s", r.Length, r.Commit), marks: r.Marks}
	one := func(name, colour string, of func(sample) float64) curve {
		v := curve{name: name, colour: colour}
		for _, s := range r.Samples {
			c.end = max(c.end, s.At)
			v.x, v.y = append(v.x, s.At), append(v.y, of(s))
		}
		return v
	}
	c.panels = []panel{
		{name: "memory, MiB", curves: []curve{
			one("RSS", orange, func(s sample) float64 { return float64(s.RSS) / (1 << 20) }),
			one("heap in use", blue, func(s sample) float64 { return float64(s.Heap) / (1 << 20) }),
		}},
		{name: "open", curves: []curve{
			one("descriptors", orange, func(s sample) float64 { return float64(s.Files) }),
			one("connections", blue, func(s sample) float64 { return float64(s.Connections) }),
			one("streams", green, func(s sample) float64 { return float64(s.Streams) }),
		}},
		{name: "goroutines", curves: []curve{one("goroutines", orange, func(s sample) float64 { return float64(s.Goroutines) })}},
		{name: "a small request, ms", log: true, curves: []curve{
			one("p99", orange, func(s sample) float64 { return s.P99 }),
			one("p50", blue, func(s sample) float64 { return s.P50 }),
		}},
		{name: "CPU, cores", curves: []curve{
			one("server", orange, func(s sample) float64 { return s.CPU }),
			one("load", blue, func(s sample) float64 { return s.LoadCPU }),
		}},
		{name: "requests a second", curves: []curve{one("requests", orange, func(s sample) float64 { return s.Requests })}},
	}
	return c
}

const (
	chartWidth  = 900
	chartLeft   = 60
	chartTop    = 90
	panelHeight = 110
	panelGap    = 34
)

// svg draws the chart.
func (c chart) svg() []byte {
	var b bytes.Buffer
	height := chartTop + len(c.panels)*(panelHeight+panelGap)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="11">`+"\n", chartWidth, height)
	b.WriteString(`<rect width="100%" height="100%" fill="#fff"/>` + "\n")
	fmt.Fprintf(&b, `<text x="10" y="20" font-size="15">%s</text>`+"\n", html.EscapeString(c.title))
	at := func(x float64) float64 {
		return chartLeft + x/math.Max(c.end, 1)*(chartWidth-chartLeft-20)
	}
	for _, m := range c.marks {
		x := at(m.At)
		fmt.Fprintf(&b, `<line x1="%.1f" y1="60" x2="%.1f" y2="%d" stroke="#999" stroke-dasharray="2 3"/><text x="%.1f" y="58" fill="#555" transform="rotate(-20 %.1f 58)">%s</text>`+"\n",
			x, x, height-panelGap, x+2, x+2, html.EscapeString(m.Name))
	}
	for i, p := range c.panels {
		p.draw(&b, float64(chartTop+i*(panelHeight+panelGap)), at)
	}
	y := height - panelGap + 13
	step, unit, name := steps(c.end/60, 10), 60.0, "min"
	if c.end < 240 {
		step, unit, name = steps(c.end, 10), 1, "s"
	}
	for x := 0.0; x*unit <= c.end; x += step {
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" fill="#555" text-anchor="middle">%g</text>`+"\n", at(x*unit), y, x)
	}
	fmt.Fprintf(&b, `<text x="10" y="%d" fill="#555">%s</text>`+"\n</svg>\n", y, name)
	return b.Bytes()
}

// steps returns how far apart the ticks of an axis are: about n of them.
func steps(most float64, n int) float64 {
	raw := math.Max(most, 1e-6) / float64(n)
	ten := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, f := range []float64{1, 2, 5} {
		if raw <= f*ten {
			return f * ten
		}
	}
	return 10 * ten
}

func (p panel) draw(b *bytes.Buffer, top float64, at func(float64) float64) {
	most, least := 0.0, math.Inf(1)
	for _, c := range p.curves {
		for _, y := range c.y {
			most = math.Max(most, y)
			if y > 0 {
				least = math.Min(least, y)
			}
		}
	}
	most = math.Max(most*1.05, 1e-3)
	scale := func(y float64) float64 { return top + panelHeight*(1-y/most) }
	var ticks []float64
	if p.log && !math.IsInf(least, 1) {
		low, high := math.Floor(math.Log10(least)), math.Ceil(math.Log10(most))
		high = math.Max(high, low+1)
		scale = func(y float64) float64 {
			return top + panelHeight*(1-(math.Log10(math.Max(y, math.Pow(10, low)))-low)/(high-low))
		}
		for e := low; e <= high; e++ {
			ticks = append(ticks, math.Pow(10, e))
		}
	} else {
		for y, step := 0.0, steps(most, 4); y <= most; y += step {
			ticks = append(ticks, y)
		}
	}
	for _, y := range ticks {
		fmt.Fprintf(b, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#e5e5e5"/><text x="%d" y="%.1f" fill="#555" text-anchor="end">%.4g</text>`+"\n",
			chartLeft, scale(y), chartWidth-20, scale(y), chartLeft-6, scale(y)+4, y)
	}
	fmt.Fprintf(b, `<text x="%d" y="%.1f">%s</text>`+"\n", chartLeft, top-5, html.EscapeString(p.name))
	for i, c := range p.curves {
		x := chartLeft + 170 + i*120
		fmt.Fprintf(b, `<rect x="%d" y="%.1f" width="10" height="3" fill="%s"/><text x="%d" y="%.1f">%s</text>`+"\n", x, top-10, c.colour, x+14, top-5, html.EscapeString(c.name))
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="1" points="`, c.colour)
		for i, y := range c.y {
			if y > 0 || !p.log {
				fmt.Fprintf(b, "%.1f,%.1f ", at(c.x[i]), scale(y))
			}
		}
		b.WriteString(`"/>` + "\n")
	}
}
