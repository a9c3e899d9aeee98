package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"slices"
)

// A plot is a chart of bars: for each workload one of each server, as long as
// its ratio to the best peer.
type plot struct {
	title, note string
	servers     []string
	groups      []plotGroup
}

type plotGroup struct {
	name string
	bars []plotBar
}

type plotBar struct {
	server string
	ratio  float64
	label  string
}

func (r *report) cpuPlot() plot {
	return r.plot("CPU of the server, ratio to the best peer", "shorter is better; of idle connections it is the memory", true, func(m measurement) float64 {
		if m.IdleKiB != 0 {
			return m.IdleKiB
		}
		return m.CPU
	}, func(m measurement, unit string) string {
		if m.IdleKiB != 0 {
			return fmt.Sprintf("%.1f KiB/%s", m.IdleKiB, unit)
		}
		return fmt.Sprintf("%.4g us/%s", m.CPU, unit)
	})
}

func (r *report) ratePlot() plot {
	return r.plot("Throughput, ratio to the best peer", "longer is better; where the server was not busy, the load was the slower one", false, func(m measurement) float64 {
		if m.IdleKiB != 0 {
			return 0 // there is none
		}
		return m.Rate
	}, func(m measurement, unit string) string {
		return fmt.Sprintf("%.0f %s/s, %.0f %% busy", m.Rate, unit, 100*m.Busy)
	})
}

func (r *report) plot(title, note string, lower bool, get func(measurement) float64, label func(measurement, string) string) plot {
	p := plot{title: title, note: note}
	for _, s := range servers {
		if _, ok := r.Servers[s.name]; ok {
			p.servers = append(p.servers, s.name)
		}
	}
	for _, e := range r.Results {
		best := r.best(e.Workload, lower, get)
		if len(e.Rounds) == 0 || best == 0 {
			continue
		}
		if n := len(p.groups); n == 0 || p.groups[n-1].name != e.Workload {
			p.groups = append(p.groups, plotGroup{name: e.Workload})
		}
		g := &p.groups[len(p.groups)-1]
		value := get(e.Median) / best
		g.bars = append(g.bars, plotBar{e.Server, value, fmt.Sprintf("%.2f  (%s)", value, label(e.Median, shortUnit(e.Unit)))})
	}
	return p
}

// Colours that differ for the colour-blind too; h2loop's stands out.
var plotColours = []string{"#d55e00", "#56b4e9", "#009e73", "#999999", "#0072b2", "#cc79a7", "#b8a400", "#7b5e3b"}

// svg draws the plot. Bars end at plotMax, with an arrow: there are servers
// that take 20 times what the best one takes.
func (p plot) svg() []byte {
	const (
		left, unit, plotMax = 190, 170, 3.0
		width               = left + plotMax*unit + 250
		bar, gap, top       = 12, 10, 74
	)
	height := top + 10
	for _, g := range p.groups {
		height += len(g.bars)*bar + gap
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%g" height="%d" viewBox="0 0 %g %d" font-family="sans-serif" font-size="11">`+"\n",
		width, height, width, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/>`+"\n")
	fmt.Fprintf(&b, `<text x="10" y="20" font-size="15">%s</text><text x="10" y="36" fill="#555">%s</text>`+"\n", html.EscapeString(p.title), html.EscapeString(p.note))
	for i, name := range p.servers {
		x := 10 + i*90
		fmt.Fprintf(&b, `<rect x="%d" y="46" width="10" height="10" fill="%s"/><text x="%d" y="55">%s</text>`+"\n", x, p.colour(name), x+14, html.EscapeString(name))
	}
	for tick := 0.0; tick <= plotMax; tick += 0.5 {
		colour := "#e5e5e5"
		if tick == 1 {
			colour = "#888"
		}
		x := left + tick*unit
		fmt.Fprintf(&b, `<line x1="%g" y1="%d" x2="%g" y2="%d" stroke="%s"/><text x="%g" y="%d" fill="#888" text-anchor="middle">%g</text>`+"\n",
			x, top, x, height-4, colour, x, top-4, tick)
	}
	y := top + gap/2
	for _, g := range p.groups {
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", left-8, y+len(g.bars)*bar/2+4, html.EscapeString(g.name))
		for _, one := range g.bars {
			length := math.Min(one.ratio, plotMax) * unit
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`, left, y, length, bar-2, p.colour(one.server))
			if one.ratio > plotMax {
				fmt.Fprintf(&b, `<path d="M%.1f %d l7 %d l-7 %d z" fill="%s"/>`, left+length, y, (bar-2)/2, (bar-2)/2, p.colour(one.server))
				length += 8
			}
			fmt.Fprintf(&b, `<text x="%.1f" y="%d" font-size="9" fill="#333">%s</text>`+"\n", left+length+4, y+bar-3, html.EscapeString(one.label))
			y += bar
		}
		y += gap
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func (p plot) colour(name string) string {
	i := slices.IndexFunc(servers, func(s *server) bool { return s.name == name })
	return plotColours[max(i, 0)%len(plotColours)]
}
