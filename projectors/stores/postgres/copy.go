// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/projectionist-dev/projectionist/contract/value"
)

// copyChunk is about how many bytes of rows go from the encoder to the connection at
// once, copyAhead how many such pieces may wait.
const (
	copyChunk = 256 << 10
	copyAhead = 4
)

// copyRows writes rows with COPY, encoding some while others are on their way. Its
// error is that of rows, or the server's.
func copyRows(ctx context.Context, conn *pgconn.PgConn, schema string, t *table, rows iter.Seq2[[]value.Value, error]) error {
	ctx, cancel := context.WithCancel(ctx)
	chunks, free := make(chan []byte, copyAhead), make(chan []byte, copyAhead+2)
	r := &chunkReader{chunks: chunks, free: free}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(chunks)
		r.failed = t.encodeRows(ctx, rows, chunks, free)
	}()
	_, err := conn.CopyFrom(ctx, r, t.sqlCopy(schema))
	cancel()
	<-done
	if r.failed != nil && !errors.Is(r.failed, errCopyEnded) {
		return r.failed
	}
	return err
}

// errCopyEnded tells the encoder that nobody reads on.
var errCopyEnded = errors.New("postgres: the COPY is over")

func (t *table) sqlCopy(schema string) string {
	names := make([]string, len(t.columns))
	for i := range t.columns {
		names[i] = quote(t.columns[i].name)
	}
	format := "binary"
	if t.copiesText() {
		format = "text"
	}
	return "COPY " + quote(schema, t.name) + " (" + strings.Join(names, ", ") + ") FROM STDIN (FORMAT " + format + ")"
}

// copiesText: the server's own types are written as text everywhere, since their binary forms are not ours.
func (t *table) copiesText() bool {
	return slices.ContainsFunc(t.columns, func(c column) bool { return c.native != "" })
}

// copyHeader begins COPY's binary form; no flags, no extension.
const copyHeader = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"

func (t *table) encodeRows(ctx context.Context, rows iter.Seq2[[]value.Value, error], chunks chan<- []byte, free <-chan []byte) error {
	b, text := make([]byte, 0, copyChunk+4096), t.copiesText()
	if !text {
		b = append(b, copyHeader...)
	}
	send := func() error {
		select {
		case chunks <- b:
		case <-ctx.Done():
			return errCopyEnded
		}
		select {
		case b = <-free:
			b = b[:0]
		default:
			b = make([]byte, 0, copyChunk+4096)
		}
		return nil
	}
	for row, err := range rows {
		if err != nil {
			return err
		}
		if text {
			b = t.appendLine(b, row)
		} else {
			b = t.appendTuple(b, row)
		}
		if len(b) >= copyChunk {
			if err := send(); err != nil {
				return err
			}
		}
	}
	if !text {
		b = binary.BigEndian.AppendUint16(b, math.MaxUint16) // the end
	}
	return send()
}

func (t *table) appendTuple(b []byte, row []value.Value) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(row)))
	for i, v := range row {
		if v == nil {
			b = binary.BigEndian.AppendUint32(b, math.MaxUint32)
			continue
		}
		start := len(b)
		b = append(b, 0, 0, 0, 0)
		typ := t.columns[i].typ
		if list, ok := v.([]value.Value); ok {
			b = append(b, encodeArray(typ.Elem(), len(list), func(i int) value.Value { return list[i] })...)
		} else {
			b = appendValue(b, typ, v)
		}
		binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-4))
	}
	return b
}

// appendLine writes a row in COPY's text form.
func (t *table) appendLine(b []byte, row []value.Value) []byte {
	for i, v := range row {
		if i > 0 {
			b = append(b, '\t')
		}
		if v == nil {
			b = append(b, `\N`...)
			continue
		}
		for _, ch := range []byte(wireText(t.columns[i].typ, v)) {
			switch ch {
			case '\\':
				b = append(b, `\\`...)
			case '\n':
				b = append(b, `\n`...)
			case '\r':
				b = append(b, `\r`...)
			case '\t':
				b = append(b, `\t`...)
			default:
				b = append(b, ch)
			}
		}
	}
	return append(b, '\n')
}

// chunkReader reads what encodeRows makes. It fails where that has failed, so
// that the server hears of no end.
type chunkReader struct {
	chunks <-chan []byte
	free   chan<- []byte
	at     []byte
	whole  []byte
	failed error // set before chunks is closed
}

func (r *chunkReader) Read(p []byte) (int, error) {
	for len(r.at) == 0 {
		if r.whole != nil {
			select {
			case r.free <- r.whole:
			default:
			}
			r.whole = nil
		}
		chunk, ok := <-r.chunks
		if !ok {
			if r.failed != nil {
				return 0, r.failed
			}
			return 0, io.EOF
		}
		r.at, r.whole = chunk, chunk
	}
	n := copy(p, r.at)
	r.at = r.at[n:]
	return n, nil
}
