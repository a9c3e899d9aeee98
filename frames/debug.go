package frames

import "strconv"

const (
	maxDescribedText     = 64 // octets of debug data or a priority field value
	maxDescribedSettings = 16
)

// Describe returns one line about a frame, for logs and tests:
//
//	SETTINGS stream=0 len=12 MAX_CONCURRENT_STREAMS=250 INITIAL_WINDOW_SIZE=65536
//	DATA stream=3 len=16384 END_STREAM
//	HEADERS stream=5 len=30 END_HEADERS PRIORITY dep=3 weight=16 fragment=25
//	WINDOW_UPDATE stream=0 len=4 error="connection error PROTOCOL_ERROR: ..."
//
// Any payload will do: of one that is not whole, "have=3" tells the length, and of
// one that violates the RFC the error is told. Payload of DATA and header blocks is
// never in the line, and text of the peer's is quoted and cut. It borrows payload.
func Describe(h Header, payload []byte) string {
	b := make([]byte, 0, 128)
	b = append(b, h.Type.String()...)
	b = appendUint(b, " stream=", uint64(h.StreamID))
	b = appendUint(b, " len=", uint64(h.Length))
	b = appendFlags(b, h)
	if h.Type == TypeData {
		// Its payload is seldom at hand, and only the first octet says anything.
		if h.Flags.Has(FlagPadded) && len(payload) > 0 {
			b = appendUint(b, " pad=", uint64(payload[0]))
		}
		return string(b)
	}
	if uint64(len(payload)) != uint64(h.Length) {
		return string(appendUint(b, " have=", uint64(len(payload))))
	}
	b, err := appendFields(b, h, payload)
	if err != nil {
		b = append(b, " error="...)
		b = strconv.AppendQuote(b, err.Error())
	}
	return string(b)
}

// appendFields appends what the whole payload says. It may do so beside an error.
func appendFields(b []byte, h Header, payload []byte) ([]byte, error) {
	switch h.Type {
	case TypeHeaders:
		f, err := ParseHeaders(h, payload)
		if f.Padded {
			b = appendUint(b, " pad=", uint64(f.PadLength))
		}
		if f.HasPriority {
			b = appendPriorityText(b, f.Priority)
		}
		if f.StreamID != 0 { // else there is only an error
			b = appendUint(b, " fragment=", uint64(len(f.Fragment)))
		}
		return b, err
	case TypePriority:
		f, err := ParsePriority(h, payload)
		if err != nil {
			return b, err
		}
		return appendPriorityText(b, f.PriorityParam), nil
	case TypeRSTStream:
		f, err := ParseRSTStream(h, payload)
		if err != nil {
			return b, err
		}
		return append(append(b, " code="...), f.Code.String()...), nil
	case TypeSettings:
		f, err := ParseSettings(h, payload)
		for i := range min(f.Len(), maxDescribedSettings) {
			s := f.At(i)
			b = append(append(b, ' '), s.ID.String()...)
			b = appendUint(b, "=", uint64(s.Value))
		}
		if f.Len() > maxDescribedSettings {
			b = append(b, " ..."...)
		}
		return b, err
	case TypePushPromise:
		f, err := ParsePushPromise(h, payload)
		if err != nil {
			return b, err
		}
		if f.Padded {
			b = appendUint(b, " pad=", uint64(f.PadLength))
		}
		b = appendUint(b, " promised=", uint64(f.PromisedStreamID))
		return appendUint(b, " fragment=", uint64(len(f.Fragment))), nil
	case TypePing:
		f, err := ParsePing(h, payload)
		if err != nil {
			return b, err
		}
		b = append(b, " data="...)
		for _, c := range f.Data {
			const digits = "0123456789abcdef"
			b = append(b, digits[c>>4], digits[c&0xf])
		}
		return b, nil
	case TypeGoAway:
		f, err := ParseGoAway(h, payload)
		if err != nil {
			return b, err
		}
		b = appendUint(b, " last=", uint64(f.LastStreamID))
		b = append(append(b, " code="...), f.Code.String()...)
		if len(f.Debug) > 0 {
			b = appendText(append(b, " debug="...), f.Debug)
		}
		return b, nil
	case TypeWindowUpdate:
		f, err := ParseWindowUpdate(h, payload)
		if err != nil {
			return b, err
		}
		return appendUint(b, " increment=", uint64(f.Increment)), nil
	case TypeContinuation:
		f, err := ParseContinuation(h, payload)
		if err != nil {
			return b, err
		}
		return appendUint(b, " fragment=", uint64(len(f.Fragment))), nil
	case TypePriorityUpdate:
		f, err := ParsePriorityUpdate(h, payload)
		if err != nil {
			return b, err
		}
		b = appendUint(b, " prioritized=", uint64(f.PrioritizedStreamID))
		return appendText(append(b, " value="...), f.FieldValue), nil
	default:
		return b, nil
	}
}

// appendFlags appends the names of h's flags, and in hexadecimal those that have
// no meaning for its type.
func appendFlags(b []byte, h Header) []byte {
	left := h.Flags
	name := func(f Flags, s string, types ...Type) {
		for _, t := range types {
			if t == h.Type && left.Has(f) {
				b = append(append(b, ' '), s...)
				left &^= f
			}
		}
	}
	name(FlagEndStream, "END_STREAM", TypeData, TypeHeaders)
	name(FlagAck, "ACK", TypeSettings, TypePing)
	name(FlagEndHeaders, "END_HEADERS", TypeHeaders, TypePushPromise, TypeContinuation)
	name(FlagPadded, "PADDED", TypeData, TypeHeaders, TypePushPromise)
	name(FlagPriority, "PRIORITY", TypeHeaders)
	if left != 0 {
		b = append(b, " flags=0x"...)
		b = strconv.AppendUint(b, uint64(left), 16)
	}
	return b
}

func appendPriorityText(b []byte, p PriorityParam) []byte {
	b = appendUint(b, " dep=", uint64(p.StreamDependency))
	b = appendUint(b, " weight=", uint64(p.Weight)+1)
	if p.Exclusive {
		b = append(b, " exclusive"...)
	}
	return b
}

// appendText appends text quoted, so that it stays on the line.
func appendText(b, text []byte) []byte {
	n := min(len(text), maxDescribedText)
	b = strconv.AppendQuote(b, string(text[:n]))
	if n < len(text) {
		b = append(b, "..."...)
	}
	return b
}

func appendUint(b []byte, label string, n uint64) []byte {
	return strconv.AppendUint(append(b, label...), n, 10)
}
