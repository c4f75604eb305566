// Package pixel is what the Go peers answer: the same as `loadtest/peers/wire.py`, whatever the gate says.
package pixel

import "github.com/valyala/fasthttp"

var gif = []byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00" +
	",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;")

// Content type and length are set by fasthttp's own means.
var headers = []struct{ name, value []byte }{
	{[]byte("Cache-Control"), []byte("no-store, no-cache, must-revalidate, private")},
	{[]byte("Cross-Origin-Resource-Policy"), []byte("cross-origin")},
}

// Answer puts the GIF into the response.
func Answer(ctx *fasthttp.RequestCtx) {
	ctx.SetContentType("image/gif")
	for at := range headers {
		ctx.Response.Header.SetCanonical(headers[at].name, headers[at].value)
	}
	ctx.Response.SetBodyRaw(gif)
}
