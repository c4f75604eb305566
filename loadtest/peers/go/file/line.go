package main

import (
	"net"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"pixelgate/peers/gate"
)

// The headers that the nginx peer logs, in its order, as fasthttp spells them: found without normalising the name.
var logged = []struct {
	field string
	name  []byte
}{
	{`","host":"`, []byte("Host")},
	{`","agent":"`, []byte("User-Agent")},
	{`","referer":"`, []byte("Referer")},
	{`","language":"`, []byte("Accept-Language")},
	{`","cookie":"`, []byte("Cookie")},
	{`","brands":"`, []byte("Sec-Ch-Ua")},
	{`","mobile":"`, []byte("Sec-Ch-Ua-Mobile")},
	{`","platform":"`, []byte("Sec-Ch-Ua-Platform")},
	{`","gpc":"`, []byte("Sec-Gpc")},
	{`","forwarded":"`, []byte("X-Forwarded-For")},
}

// appendLine adds a kept hit as one line of JSON: the fields of the nginx peer's log.
func appendLine(line []byte, ctx *fasthttp.RequestCtx, found gate.Entry) []byte {
	line = append(line, `{"at":`...)
	line = appendSeconds(line, ctx.Time())
	line = append(line, `,"account":"`...)
	line = appendEscaped(line, found.Account)
	line = append(line, `","verdict":"`...)
	line = appendEscaped(line, found.Verdict)
	line = append(line, `","ip":"`...)
	if from, ok := ctx.RemoteAddr().(*net.TCPAddr); ok {
		line = from.AddrPort().Addr().Unmap().AppendTo(line)
	}
	line = append(line, `","method":"`...)
	line = appendEscaped(line, ctx.Method())
	line = append(line, `","target":"`...)
	line = appendEscaped(line, ctx.RequestURI())
	for at := range logged {
		line = append(line, logged[at].field...)
		line = appendEscaped(line, ctx.Request.Header.PeekCanonical(logged[at].name))
	}
	return append(line, "\"}\n"...)
}

// appendSeconds writes Unix time with three digits for the milliseconds.
func appendSeconds(line []byte, at time.Time) []byte {
	milliseconds := at.UnixMilli()
	line = strconv.AppendInt(line, milliseconds/1000, 10)
	rest := milliseconds % 1000
	return append(line, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
}

// appendEscaped writes a text between its quotes: quote, backslash and control bytes escaped, all else as it came.
func appendEscaped[Text string | []byte](line []byte, text Text) []byte {
	const digits = "0123456789abcdef"
	plain := 0
	for at := 0; at < len(text); at++ {
		letter := text[at]
		if letter >= ' ' && letter != '"' && letter != '\\' {
			continue
		}
		line = append(line, text[plain:at]...)
		plain = at + 1
		if letter >= ' ' {
			line = append(line, '\\', letter)
		} else {
			line = append(line, '\\', 'u', '0', '0', digits[letter>>4], digits[letter&15])
		}
	}
	return append(line, text[plain:]...)
}
