// The Go peer: fasthttp with a gate in a map and one JSON line a kept hit, at the settings that cost it least.
//
// Usage: fasthttp PORT KEYS FILE; KEYS is the gate's table, FILE takes the lines. SIGTERM writes what is left and ends it.
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/valyala/fasthttp"
)

// What `loadtest/peers/wire.py` answers too; its content type and length are set by fasthttp's own means.
var gif = []byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00" +
	",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;")

var headers = []struct{ name, value []byte }{
	{[]byte("Cache-Control"), []byte("no-store, no-cache, must-revalidate, private")},
	{[]byte("Cross-Origin-Resource-Policy"), []byte("cross-origin")},
}

func main() {
	if len(os.Args) != 4 {
		end("usage: fasthttp PORT KEYS FILE", nil)
	}
	runtime.GOMAXPROCS(1) // it has one core
	known, err := loadGate(os.Args[2])
	if err != nil {
		end("the gate's table", err)
	}
	kept, err := newHits(os.Args[3], func(err error) { end("the file of hits", err) })
	if err != nil {
		end("the file of hits", err)
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:"+os.Args[1])
	if err != nil {
		end("the port", err)
	}
	go func() {
		err := serve(listener, known, kept)
		end("the server", err)
	}()
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	<-ended
	kept.end()
}

func serve(listener net.Listener, known gate, kept *hits) error {
	server := &fasthttp.Server{
		NoDefaultServerHeader: true,
		NoDefaultDate:         true,
		Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.SetContentType("image/gif")
			for at := range headers {
				ctx.Response.Header.SetCanonical(headers[at].name, headers[at].value)
			}
			ctx.Response.SetBodyRaw(gif)
			if found, ok := known.pass(ctx.Path()); ok {
				kept.add(ctx, found)
			}
		},
	}
	return server.Serve(listener)
}

func end(what string, err error) {
	fmt.Fprintln(os.Stderr, what, err)
	os.Exit(1)
}
