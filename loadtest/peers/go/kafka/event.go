package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/fasthttp"

	"pixelgate/peers/gate"
)

const (
	timeLayout = "2006-01-02T15:04:05.000000Z"
	ipv4Kept   = 24
	ipv6Kept   = 48
	hexDigits  = "0123456789abcdef"
)

var headersOf = map[string][]kgo.RecordHeader{
	"ACCEPT": {{Key: "schema", Value: []byte("1")}, {Key: "verdict", Value: []byte("ACCEPT")}},
	"HIDE":   {{Key: "schema", Value: []byte("1")}, {Key: "verdict", Value: []byte("HIDE")}},
}

// event is one hit on its way to Kafka, with the memory it lies in.
type event struct {
	record kgo.Record
	key    []byte
	value  []byte
	params []byte
}

// eventWriter makes events; their memory is used again once Kafka has taken them.
type eventWriter struct {
	start    string // of every id: 128 random bits, new with each process
	sequence atomic.Uint64
	spare    sync.Pool
}

func newEventWriter() *eventWriter {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		panic(err)
	}
	return &eventWriter{start: hex.EncodeToString(id) + "-", spare: sync.Pool{New: func() any { return new(event) }}}
}

// giveBack tells that nobody looks at the event any more.
func (w *eventWriter) giveBack(e *event) { w.spare.Put(e) }

// fields are the parameters that the snippet sends; each is nil where it is missing.
type fields struct{ name, url, referrer, visitor, user, time []byte }

// write makes the event of a hit: all fields of an event as docs/kafka.md has them, in one pass over the request.
func (w *eventWriter) write(ctx *fasthttp.RequestCtx, writeKey []byte, from gate.Entry) *event {
	e := w.spare.Get().(*event)
	sequence := w.sequence.Add(1)
	found := e.read(ctx.QueryArgs())
	headers := &ctx.Request.Header
	if found.referrer == nil {
		found.referrer = headers.Referer()
	}
	b := append(e.value[:0], `{"id":"`...)
	b = strconv.AppendUint(append(b, w.start...), sequence, 10)
	b = time.Now().UTC().AppendFormat(append(b, `","received_at":"`...), timeLayout)
	b = appendText(append(b, `","account":`...), []byte(from.Account))
	b = appendText(append(b, `,"write_key":`...), writeKey)
	b = append(append(b, `,"verdict":"`...), from.Verdict...)
	b = append(b, `","verified":true,"version":1,"name":`...)
	if len(found.name) == 0 {
		found.name = []byte("page_view")
	}
	b = appendText(b, found.name)
	b = appendTextOrNull(append(b, `,"url":`...), found.url)
	b = appendTextOrNull(append(b, `,"referrer":`...), found.referrer)
	b = appendTextOrNull(append(b, `,"visitor":`...), found.visitor)
	b = appendTextOrNull(append(b, `,"user":`...), found.user)
	b = appendTime(append(b, `,"client_time":`...), found.time)
	b = append(b, `,"client_id":null,"tracker":"pixel","ip":"`...)
	b = appendKeptIP(b, ctx)
	b = appendTextOrNull(append(b, `","user_agent":`...), headers.UserAgent())
	b = appendTextOrNull(append(b, `,"language":`...), firstLanguage(headers.Peek("Accept-Language")))
	b = append(append(b, `,"params":{`...), e.params...)
	e.value = append(b, `},"revealed_at":null}`...)
	if len(found.visitor) > 0 {
		e.key = append(append(append(e.key[:0], from.Account...), ':'), found.visitor...)
	} else {
		e.key = strconv.AppendUint(append(e.key[:0], w.start...), sequence, 10)
	}
	topic := topicEvents
	if from.Verdict != "ACCEPT" {
		topic = topicHidden
	}
	e.record = kgo.Record{Topic: topic, Key: e.key, Value: e.value, Headers: headersOf[from.Verdict]}
	return e
}

// read goes through the query once: the snippet's parameters, the first of each, and the JSON of all others.
func (e *event) read(query *fasthttp.Args) fields {
	var found fields
	params := e.params[:0]
	for name, value := range query.All() {
		if place := found.place(name); place != nil && *place == nil {
			*place = value
			continue
		}
		if len(params) > 0 {
			params = append(params, ',')
		}
		params = appendText(append(appendText(params, name), ':'), value)
	}
	e.params = params
	return found
}

func (f *fields) place(name []byte) *[]byte {
	switch string(name) {
	case "e":
		return &f.name
	case "u":
		return &f.url
	case "r":
		return &f.referrer
	case "v":
		return &f.visitor
	case "uid":
		return &f.user
	case "t":
		return &f.time
	}
	return nil
}

// appendTime writes a client's milliseconds as RFC 3339; null for what is none.
func appendTime(b, milliseconds []byte) []byte {
	at, err := strconv.ParseInt(string(milliseconds), 10, 64)
	if err != nil {
		return append(b, "null"...)
	}
	return append(time.UnixMilli(at).UTC().AppendFormat(append(b, '"'), timeLayout), '"')
}

// appendKeptIP writes the client's address as far as it may be kept: an IPv4 to /24, an IPv6 to /48.
func appendKeptIP(b []byte, ctx *fasthttp.RequestCtx) []byte {
	address, _ := netip.AddrFromSlice(ctx.RemoteIP())
	address = address.Unmap()
	bits := ipv4Kept
	if address.Is6() {
		bits = ipv6Kept
	}
	network, err := address.Prefix(bits)
	if err != nil {
		return b
	}
	return network.Addr().AppendTo(b)
}

// firstLanguage is what browsers send as the preferred one.
func firstLanguage(languages []byte) []byte {
	first, _, _ := bytes.Cut(languages, []byte(","))
	first, _, _ = bytes.Cut(first, []byte(";"))
	return bytes.TrimSpace(first)
}

func appendTextOrNull(b, text []byte) []byte {
	if len(text) == 0 {
		return append(b, "null"...)
	}
	return appendText(b, text)
}

// appendText writes a JSON string; bytes that are no UTF-8 become U+FFFD.
func appendText(b, text []byte) []byte {
	if !utf8.Valid(text) {
		text = bytes.ToValidUTF8(text, []byte("\uFFFD"))
	}
	b = append(b, '"')
	from := 0
	for at, c := range text {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, text[from:at]...)
		from = at + 1
		if c >= ' ' {
			b = append(b, '\\', c)
		} else {
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(b, text[from:]...), '"')
}
