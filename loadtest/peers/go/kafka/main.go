// Command kafka is what people write in Go who want a gated pixel in Kafka: fasthttp in front, franz-go behind.
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

	"pixelgate/peers/gate"
	"pixelgate/peers/pixel"
)

const (
	topicEvents   = "pixel.events"
	topicHidden   = "pixel.hidden"
	flushAtEnd    = 10 * time.Second
	backlog       = 1 << 16 // records that may wait for Kafka; a hit beyond them waits too
	batchBytes    = 1_000_012
	keepAliveIdle = time.Hour
	headBytes     = 16 << 10
)

// collector answers hits and hands their events to Kafka.
type collector struct {
	gate         gate.Table
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
	loaded, err := gate.Load(*keys)
	if err != nil {
		log.Fatalf("kafka: %v", err)
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
		log.Fatalf("kafka: %v", err)
	}
	if err := kafka.Ping(context.Background()); err != nil {
		log.Fatalf("kafka: Kafka does not answer: %v", err)
	}
	if err := serve(*port, &collector{gate: loaded, kafka: kafka, writer: newEventWriter()}); err != nil {
		log.Fatalf("kafka: %v", err)
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
	pixel.Answer(ctx)
	if key, found, kept := c.gate.Pass(ctx.Path()); kept {
		c.keep(ctx, key, found)
	}
}

// keep hands the hit's event to Kafka's client, which sends it by and by.
func (c *collector) keep(ctx *fasthttp.RequestCtx, key []byte, found gate.Entry) {
	event := c.writer.write(ctx, key, found)
	c.kafka.Produce(context.Background(), &event.record, func(_ *kgo.Record, err error) {
		if err != nil {
			c.failed.Add(1)
		} else {
			c.acknowledged.Add(1)
		}
		c.writer.giveBack(event)
	})
}
