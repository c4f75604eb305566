// Command file is fasthttp with a gate in a map and one JSON line a kept hit, at the settings that cost it least.
//
// Usage: file PORT KEYS FILE; KEYS is the gate's table, FILE takes the lines. SIGTERM writes what is left and ends it.
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/valyala/fasthttp"

	"pixelgate/peers/gate"
	"pixelgate/peers/pixel"
)

func main() {
	if len(os.Args) != 4 {
		end("usage: file PORT KEYS FILE", nil)
	}
	runtime.GOMAXPROCS(1) // it has one core
	known, err := gate.Load(os.Args[2])
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

func serve(listener net.Listener, known gate.Table, kept *hits) error {
	server := &fasthttp.Server{
		NoDefaultServerHeader: true,
		NoDefaultDate:         true,
		Handler: func(ctx *fasthttp.RequestCtx) {
			pixel.Answer(ctx)
			if _, found, ok := known.Pass(ctx.Path()); ok {
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
