// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package avro_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	reference "github.com/twmb/avro"
	"github.com/valyala/fastjson"

	"github.com/projectionist-dev/projectionist/projectors/codecs/avro"
	"github.com/projectionist-dev/projectionist/projectors/codecs/jsontext"
)

// schemas are without logical types: the reference has Go types of its own for those.
var schemas = []string{
	`{"type":"record","name":"E","fields":[{"name":"b","type":"boolean"},{"name":"i","type":"int"},{"name":"l","type":"long"},{"name":"f","type":"float"},
		{"name":"d","type":"double"},{"name":"y","type":"bytes"},{"name":"s","type":"string"},{"name":"n","type":"null"}]}`,
	`{"type":"array","items":["null","string","long",{"type":"map","values":{"type":"array","items":"int"}}]}`,
	`{"type":"record","name":"Node","fields":[{"name":"v","type":{"type":"enum","name":"C","symbols":["A","B"]}},{"name":"next","type":["null","Node"]},
		{"name":"x","type":{"type":"fixed","name":"F","size":3}},{"name":"again","type":["F","C"]}]}`,
	`{"type":"map","values":["null",{"type":"record","name":"Empty","fields":[]}]}`,
}

// logical have every logical type: there it is only held that what comes out is JSON.
const logical = `{"type":"record","name":"E","fields":[
	{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":20,"scale":4}},
	{"name":"b","type":{"type":"fixed","name":"D","size":5,"logicalType":"decimal","precision":9,"scale":2}},
	{"name":"c","type":{"type":"int","logicalType":"date"}},
	{"name":"d","type":{"type":"int","logicalType":"time-millis"}},
	{"name":"e","type":{"type":"long","logicalType":"time-micros"}},
	{"name":"f","type":{"type":"long","logicalType":"timestamp-millis"}},
	{"name":"g","type":{"type":"long","logicalType":"timestamp-nanos"}},
	{"name":"h","type":{"type":"long","logicalType":"local-timestamp-micros"}},
	{"name":"i","type":{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}},
	{"name":"j","type":{"type":"fixed","name":"P","size":12,"logicalType":"duration"}}]}`

func FuzzDecode(f *testing.F) {
	var ours []*avro.Schema
	var theirs []*reference.Schema
	for _, s := range append(schemas, logical) {
		o, err := avro.Compile(s)
		if err != nil {
			f.Fatal(err)
		}
		ours, theirs = append(ours, o), append(theirs, reference.MustParse(s))
	}
	f.Add(uint8(0), []byte("\x01\x01\x80\x80\x01\x00\x00\x80\x3f\x00\x00\x00\x00\x00\x00\xf8\x7f\x04\x00\xff\x04\"\n"))
	f.Add(uint8(1), []byte("\x04\x02\x02a\x06\x02\x02k\x01\x02\x0e\x00\x00\x00"))
	f.Add(uint8(1), []byte("\x03\x08\x02\x02a\x00\x00"))
	f.Add(uint8(2), []byte("\x02\x02\x00\x00abc\x02\x00xyz\x00zzz"))
	f.Add(uint8(3), []byte("\x04\x02a\x02\x02b\x00\x00"))
	f.Add(uint8(4), []byte("\x02\x05abcde\x02\x04\x06\x08\x0a\x0c0123456789abcdef0123456789ab"))
	var w jsontext.Writer
	f.Fuzz(func(t *testing.T, n uint8, b []byte) {
		i := int(n) % len(ours)
		w.Reset()
		err := ours[i].Decode(b, &w)
		var parsed *fastjson.Value
		if err == nil {
			if !json.Valid(w.Bytes()) || !utf8.Valid(w.Bytes()) {
				t.Fatalf("not JSON: %q", w.Bytes())
			}
			parsed = fastjson.MustParseBytes(w.Bytes())
		}
		if i >= len(schemas) {
			return
		}
		if errors.Is(err, jsontext.ErrTooLong) || errors.Is(err, jsontext.ErrTooDeep) || errors.Is(err, jsontext.ErrNotUTF8) ||
			err != nil && strings.Contains(err.Error(), "a boolean is neither") {
			return // the reference has other bounds, and takes what is neither UTF-8 nor a boolean
		}
		var want any
		rest, refErr := theirs[i].Decode(b, &want)
		if refErr == nil && len(rest) > 0 {
			refErr = errors.New("left over")
		}
		if (err == nil) != (refErr == nil) {
			t.Fatalf("ours %v, the reference %v", err, refErr)
		}
		if err == nil && !equal(parsed, want) {
			t.Fatalf("ours %s, the reference %#v", w.Bytes(), want)
		}
	})
}

// equal compares what is ours with a value of the reference. Of a name that
// comes twice the reference keeps the last.
func equal(v *fastjson.Value, want any) bool {
	switch x := want.(type) {
	case nil:
		return v.Type() == fastjson.TypeNull
	case bool:
		return v.String() == strconv.FormatBool(x)
	case float32:
		return equalFloat(v, float64(x), 32)
	case float64:
		return equalFloat(v, x, 64)
	case string:
		return string(v.GetStringBytes()) == x && v.Type() == fastjson.TypeString
	case []byte:
		return string(v.GetStringBytes()) == base64.StdEncoding.EncodeToString(x)
	case []any:
		list := v.GetArray()
		if len(list) != len(x) {
			return false
		}
		for i := range list {
			if !equal(list[i], x[i]) {
				return false
			}
		}
		return v.Type() == fastjson.TypeArray
	case map[string]any:
		last := map[string]*fastjson.Value{}
		v.GetObject().Visit(func(k []byte, e *fastjson.Value) { last[string(k)] = e })
		for k, e := range last {
			w, ok := x[k]
			if !ok || !equal(e, w) {
				return false
			}
		}
		return len(last) == len(x)
	}
	switch r := reflect.ValueOf(want); r.Kind() {
	case reflect.Int32, reflect.Int64, reflect.Int:
		return v.String() == strconv.FormatInt(r.Int(), 10)
	case reflect.Array: // a fixed
		b := make([]byte, r.Len())
		reflect.Copy(reflect.ValueOf(b), r)
		return string(v.GetStringBytes()) == base64.StdEncoding.EncodeToString(b)
	default:
		panic(fmt.Sprintf("%T", want))
	}
}

func equalFloat(v *fastjson.Value, f float64, bits int) bool {
	switch {
	case math.IsNaN(f):
		return string(v.GetStringBytes()) == "NaN"
	case math.IsInf(f, 0):
		return string(v.GetStringBytes()) == map[bool]string{true: "Infinity", false: "-Infinity"}[f > 0]
	}
	got, err := strconv.ParseFloat(v.String(), bits)
	return err == nil && got == f
}
