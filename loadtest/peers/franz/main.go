// Command franz is what people write in Go who want a gated pixel in Kafka: fasthttp in front, franz-go behind.
//
// Each hit is gated by its write key; what is kept is produced as one event of JSON. The answer does not wait for
// Kafka: what is still in memory when the process dies is lost, although it was answered. At its end it waits for what
// is on its way and prints one line of JSON: how many events were acknowledged, and how many failed.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/fasthttp"
)

const (
	topicEvents    = "pixel.events"
	topicHidden    = "pixel.hidden"
	flushAtEnd     = 10 * time.Second
	backlog        = 1 << 16 // records that may wait for Kafka; a hit beyond them waits too
	batchBytes     = 1_000_012
	keepAliveIdle  = time.Hour
	headBytes      = 16 << 10
	pixelPathAhead = "/p/"
	pixelPathEnd   = ".gif"
)

var gif = []byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00" +
	",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;")

// collector answers hits and hands their events to Kafka.
type collector struct {
	gate         gate
	kafka        *kgo.Client
	writer       *eventWriter
	acknowledged atomic.Int64
	failed       atomic.Int64
}

func main() {
	port := flag.Int("port", 0, "port on 127.0.0.1")
	keys := flag.String("keys", "", "file of write keys, a line each: key account verdict")
	bootstrap := flag.String("bootstrap", "", "Kafka's brokers, host:port,host:port")
	linger := flag.Duration("linger", 0, "how long a batch waits for more")
	flag.Parse()
	loaded, err := loadGate(*keys)
	if err != nil {
		log.Fatalf("franz: %v", err)
	}
	kafka, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(*bootstrap, ",")...),
		kgo.RequiredAcks(kgo.AllISRAcks()), // with it the producer is idempotent, unless told otherwise
		kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		kgo.ProducerLinger(*linger),
		kgo.ProducerBatchMaxBytes(batchBytes),
		kgo.MaxBufferedRecords(backlog),
	)
	if err != nil {
		log.Fatalf("franz: %v", err)
	}
	if err := kafka.Ping(context.Background()); err != nil {
		log.Fatalf("franz: Kafka does not answer: %v", err)
	}
	if err := serve(*port, &collector{gate: loaded, kafka: kafka, writer: newEventWriter()}); err != nil {
		log.Fatalf("franz: %v", err)
	}
}

// serve answers until SIGTERM or SIGINT, then lets Kafka take what is on its way.
func serve(port int, c *collector) error {
	server := &fasthttp.Server{
		Handler:               c.handle,
		NoDefaultServerHeader: true,
		NoDefaultDate:         true,
		NoDefaultContentType:  true,
		ReadBufferSize:        headBytes,
		IdleTimeout:           keepAliveIdle,
		CloseOnShutdown:       true,
	}
	listener, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-stop:
	}
	within, cancel := context.WithTimeout(context.Background(), flushAtEnd)
	defer cancel()
	if err := listener.Close(); err != nil { // kept connections end with the process
		return err
	}
	err = c.kafka.Flush(within)
	fmt.Printf("{\"acknowledged\":%d,\"failed\":%d}\n", c.acknowledged.Load(), c.failed.Load())
	return err
}

// handle answers one hit: the same GIF whatever the gate says.
func (c *collector) handle(ctx *fasthttp.RequestCtx) {
	path := ctx.Path()
	if len(path) <= len(pixelPathAhead)+len(pixelPathEnd) || string(path[:len(pixelPathAhead)]) != pixelPathAhead ||
		string(path[len(path)-len(pixelPathEnd):]) != pixelPathEnd {
		ctx.SetStatusCode(fasthttp.StatusNotFound)
		return
	}
	key := path[len(pixelPathAhead) : len(path)-len(pixelPathEnd)]
	if entry, known := c.gate[string(key)]; known && entry.verdict != "DROP" {
		c.keep(ctx, key, entry)
	}
	header := &ctx.Response.Header
	header.SetContentType("image/gif")
	header.Set("Cache-Control", "no-store, no-cache, must-revalidate, private")
	header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	ctx.Response.SetBodyRaw(gif)
}

// keep hands the hit's event to Kafka's client, which sends it by and by.
func (c *collector) keep(ctx *fasthttp.RequestCtx, key []byte, entry entry) {
	event := c.writer.write(ctx, key, entry)
	c.kafka.Produce(context.Background(), &event.record, func(_ *kgo.Record, err error) {
		if err != nil {
			c.failed.Add(1)
		} else {
			c.acknowledged.Add(1)
		}
		c.writer.giveBack(event)
	})
}
