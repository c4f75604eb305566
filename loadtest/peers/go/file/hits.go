package main

import (
	"os"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"pixelgate/peers/gate"
)

const (
	bufferBytes  = 64 << 10 // the nginx peer's `buffer=64k`
	lineBytesMax = 16 << 10 // room beyond it for the line that fills it
	flushSeconds = 1        // the nginx peer's `flush=1s`
	fullMax      = 16       // buffers that wait for the file; beyond them hits wait too
)

// The file of kept hits. Lines gather in memory; a goroutine of its own writes them, so a hit is answered before.
type hits struct {
	file   *os.File
	lock   sync.Mutex
	buffer []byte
	full   chan []byte
	free   sync.Pool
	failed func(error)
}

// newHits creates the file; failed is told when a write fails, since answered hits are lost then.
func newHits(path string, failed func(error)) (*hits, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	kept := &hits{file: file, full: make(chan []byte, fullMax), failed: failed}
	kept.free.New = func() any { return make([]byte, 0, bufferBytes+lineBytesMax) }
	kept.buffer = kept.free.Get().([]byte)
	go kept.carry()
	return kept, nil
}

// add puts a line into the buffer, and hands the buffer over once it is full.
func (kept *hits) add(ctx *fasthttp.RequestCtx, found gate.Entry) {
	kept.lock.Lock()
	kept.buffer = appendLine(kept.buffer, ctx, found)
	var filled []byte
	if len(kept.buffer) >= bufferBytes {
		filled = kept.buffer
		kept.buffer = kept.free.Get().([]byte)
	}
	kept.lock.Unlock()
	if filled != nil {
		kept.full <- filled
	}
}

// carry writes full buffers, and each second what there is.
func (kept *hits) carry() {
	tick := time.NewTicker(flushSeconds * time.Second)
	for {
		select {
		case filled := <-kept.full:
			kept.write(filled)
		case <-tick.C:
			kept.flush()
		}
	}
}

// flush writes what has gathered so far.
func (kept *hits) flush() {
	kept.lock.Lock()
	gathered := kept.buffer
	kept.buffer = kept.free.Get().([]byte)
	kept.lock.Unlock()
	kept.write(gathered)
}

// end writes all that is left; no hit may come any more.
func (kept *hits) end() {
	for {
		select {
		case filled := <-kept.full:
			kept.write(filled)
		default:
			kept.flush()
			return
		}
	}
}

func (kept *hits) write(lines []byte) {
	if _, err := kept.file.Write(lines); err != nil {
		kept.failed(err)
	}
	kept.free.Put(lines[:0])
}
