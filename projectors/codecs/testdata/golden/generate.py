# Copyright The Projectionist Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes vectors.json: payloads encoded by fastavro and by Google's protobuf, and the JSON that each must become."""

import base64
import datetime
import decimal
import importlib
import io
import json
import pathlib
import struct
import sys
import tempfile
import uuid

import fastavro
import grpc_tools
from google.protobuf import any_pb2, duration_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2
from grpc_tools import protoc

UTC = datetime.timezone.utc
vectors = []


def add(name, kind, schema, payload, want, references=(), index=b""):
    vectors.append({
        "name": name, "type": kind, "schema": schema, "references": [{"name": n, "text": t} for n, t in references],
        "payload": base64.b64encode(b"\0" + struct.pack(">I", 7) + index + payload).decode(), "want": want,
    })


def avro(name, schema, value, want, references=()):
    named = {}
    for r in references:
        fastavro.parse_schema(r, named)
    parsed = fastavro.parse_schema(json.loads(json.dumps(schema)), named)
    out = io.BytesIO()
    fastavro.schemaless_writer(out, parsed, value)
    add(name, "AVRO", json.dumps(schema), out.getvalue(), want, [(r["name"], json.dumps(r)) for r in references])


def record(**fields):
    return {"type": "record", "name": "E", "namespace": "shop", "fields": [{"name": n, "type": t} for n, t in fields.items()]}


avro("primitives", record(n="null", b="boolean", i="int", l="long", f="float", d="double", y="bytes", s="string"),
     {"n": None, "b": True, "i": -2147483648, "l": 9007199254740993, "f": 0.1, "d": 0.1, "y": b"\x00\xff", "s": 'é"\\\n\x01😀'},
     '{"n":null,"b":true,"i":-2147483648,"l":9007199254740993,"f":0.1,"d":0.1,"y":"AP8=","s":"é\\"\\\\\\n\\u0001😀"}')
avro("long limits", {"type": "array", "items": "long"}, [-2**63, 2**63 - 1, 0, -1, 64], "[-9223372036854775808,9223372036854775807,0,-1,64]")
avro("not finite", {"type": "array", "items": "double"}, [float("nan"), float("inf"), float("-inf"), -0.0, 1e300],
     '["NaN","Infinity","-Infinity",-0,1e+300]')
avro("decimal of bytes", record(a={"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 2}, b={"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 4},
                                c={"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 0}),
     {"a": decimal.Decimal("-1234567890123456789012345.67"), "b": decimal.Decimal("0.0300"), "c": decimal.Decimal("-7")},
     '{"a":-1234567890123456789012345.67,"b":0.0300,"c":-7}')
avro("decimal of fixed", {"type": "fixed", "name": "D", "size": 8, "logicalType": "decimal", "precision": 12, "scale": 3}, decimal.Decimal("-0.005"), "-0.005")
avro("dates and times", record(
    d={"type": "int", "logicalType": "date"}, tm={"type": "int", "logicalType": "time-millis"}, tu={"type": "long", "logicalType": "time-micros"},
    ms={"type": "long", "logicalType": "timestamp-millis"}, us={"type": "long", "logicalType": "timestamp-micros"},
    lms={"type": "long", "logicalType": "local-timestamp-millis"}, lus={"type": "long", "logicalType": "local-timestamp-micros"}),
    {"d": datetime.date(1969, 12, 31), "tm": datetime.time(23, 59, 59, 999000), "tu": datetime.time(0, 0, 0, 1),
     "ms": datetime.datetime(2026, 1, 2, 3, 4, 5, 600000, UTC), "us": datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
     "lms": datetime.datetime(2026, 1, 2, 3, 4, 5), "lus": datetime.datetime(2026, 1, 2, 3, 4, 5, 6)},
    '{"d":"1969-12-31","tm":"23:59:59.999","tu":"00:00:00.000001","ms":"2026-01-02T03:04:05.6Z","us":"1969-12-31T23:59:59.999999Z",'
    '"lms":"2026-01-02T03:04:05","lus":"2026-01-02T03:04:05.000006"}')
avro("timestamp in nanoseconds", {"type": "long", "logicalType": "timestamp-nanos"}, -1, '"1969-12-31T23:59:59.999999999Z"')
avro("uuid", {"type": "string", "logicalType": "uuid"}, uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), '"6ba7b810-9dad-11d1-80b4-00c04fd430c8"')
avro("uuid of fixed", {"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"}, uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8").bytes,
     '"6ba7b810-9dad-11d1-80b4-00c04fd430c8"')
avro("duration", {"type": "fixed", "name": "P", "size": 12, "logicalType": "duration"}, struct.pack("<III", 1, 2, 3004), '"P1M2DT3.004S"')
avro("unknown logical type", {"type": "long", "logicalType": "of-somebody"}, 5, "5")
avro("enum and fixed", record(e={"type": "enum", "name": "Colour", "symbols": ["RED", "BLUE"]}, x={"type": "fixed", "name": "X", "size": 3}),
     {"e": "BLUE", "x": b"\x01\x02\x03"}, '{"e":"BLUE","x":"AQID"}')
avro("unions are plain values", {"type": "array", "items": ["null", "string", "long", {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}]},
     [None, "x", 5, {"a": 1}], '[null,"x",5,{"a":1}]')
avro("maps in the order of the payload", {"type": "map", "values": "int"}, {"b": 1, "a": 2}, '{"b":1,"a":2}')
avro("empty containers", record(a={"type": "array", "items": "int"}, m={"type": "map", "values": "int"}), {"a": [], "m": {}}, '{"a":[],"m":{}}')
avro("a type that contains itself", {"type": "record", "name": "Node", "fields": [{"name": "v", "type": "int"}, {"name": "next", "type": ["null", "Node"]}]},
     {"v": 1, "next": {"v": 2, "next": None}}, '{"v":1,"next":{"v":2,"next":null}}')
money = {"type": "record", "name": "Money", "namespace": "common", "fields": [
    {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}}, {"name": "currency", "type": "string"}]}
line = {"type": "record", "name": "Line", "namespace": "shop", "fields": [{"name": "sku", "type": "string"}, {"name": "price", "type": "common.Money"}]}
avro("references", {"type": "record", "name": "Order", "namespace": "shop", "fields": [
    {"name": "lines", "type": {"type": "array", "items": "Line"}}, {"name": "total", "type": "common.Money"}, {"name": "again", "type": ["null", "shop.Line"]}]},
    {"lines": [{"sku": "a", "price": {"amount": decimal.Decimal("1.50"), "currency": "EUR"}}], "total": {"amount": decimal.Decimal("1.50"), "currency": "EUR"}, "again": None},
    '{"lines":[{"sku":"a","price":{"amount":1.50,"currency":"EUR"}}],"total":{"amount":1.50,"currency":"EUR"},"again":null}',
    references=[dict(money, name="common.Money"), dict(line, name="shop.Line")])

EVENTS = '''syntax = "proto3";
package shop;
import "money.proto";
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum Status { UNKNOWN = 0; PLACED = 1; }
message Order {
  string order_id = 1;
  int64 big = 2;
  uint64 huge = 3;
  sint32 small = 4;
  fixed64 f64 = 5;
  float f = 6;
  double d = 7;
  bool ok = 8;
  bytes raw = 9;
  Status status = 10;
  optional int32 maybe = 11;
  repeated Line lines = 12;
  map<string, int64> by_name = 13;
  map<int32, string> by_number = 14;
  map<bool, string> by_flag = 15;
  oneof pay { string card = 16; int32 cash = 17; }
  Money total = 18;
  message Line { string sku = 1; Money price = 2; message Deep { int32 x = 1; } }
  string renamed = 19 [json_name = "newName"];
}
message Known {
  google.protobuf.Timestamp at = 1;
  google.protobuf.Duration took = 2;
  google.protobuf.FieldMask mask = 3;
  google.protobuf.Struct object = 4;
  google.protobuf.Value value = 5;
  google.protobuf.ListValue list = 6;
  google.protobuf.Int64Value wrapped = 7;
  google.protobuf.StringValue name = 8;
  google.protobuf.BytesValue bytes = 9;
  google.protobuf.Any any = 10;
  google.protobuf.NullValue nothing = 11;
  repeated google.protobuf.Timestamp times = 12;
}
'''
MONEY = '''syntax = "proto3";
package shop;
import "confluent/type/decimal.proto";
message Money { confluent.type.Decimal amount = 1; string currency = 2; }
'''
DECIMAL = '''syntax = "proto3";
package confluent.type;
message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }
'''
OLD = '''syntax = "proto2";
message Old {
  required string id = 1;
  optional int32 n = 2 [default = 7];
  optional group Box = 3 { optional string label = 1; }
  repeated int32 packed = 4 [packed = true];
}
'''

with tempfile.TemporaryDirectory() as folder:
    root = pathlib.Path(folder)
    for path, text in {"events.proto": EVENTS, "money.proto": MONEY, "confluent/type/decimal.proto": DECIMAL, "old.proto": OLD}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    include = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    for path in ["confluent/type/decimal.proto", "money.proto", "events.proto", "old.proto"]:
        assert protoc.main(["protoc", f"-I{root}", f"-I{include}", f"--python_out={root}", path]) == 0
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    events, moneys, old = (importlib.import_module(m) for m in ("events_pb2", "money_pb2", "old_pb2"))


def proto(name, message, want, index, schema=EVENTS, references=(("money.proto", MONEY),)):
    add(name, "PROTOBUF", schema, message.SerializeToString(deterministic=True), want, references, index)


def cents(text, currency):
    m = moneys.Money(currency=currency)
    unscaled = int(decimal.Decimal(text).scaleb(2))
    m.amount.value = unscaled.to_bytes(8, "big", signed=True)
    m.amount.scale = 2
    return m


order = events.Order(order_id="o-1", big=-9007199254740993, huge=2**64 - 1, small=-3, f64=2**53 + 1, f=0.1, d=1e-7, ok=True, raw=b"\x00\xff", status=1, maybe=0,
                     by_name={"b": 2, "a": 1}, by_number={10: "x", 9: "y"}, by_flag={True: "t"}, cash=0, renamed="r")
order.lines.add(sku="s", price=cents("-0.05", "EUR"))
order.total.CopyFrom(cents("12.50", "EUR"))
proto("a message", order,
      '{"orderId":"o-1","big":-9007199254740993,"huge":18446744073709551615,"small":-3,"f64":9007199254740993,"f":0.1,"d":1e-07,"ok":true,"raw":"AP8=","status":"PLACED",'
      '"maybe":0,"lines":[{"sku":"s","price":{"amount":-0.05,"currency":"EUR"}}],"byName":{"a":1,"b":2},"byNumber":{"10":"x","9":"y"},"byFlag":{"true":"t"},'
      '"cash":0,"total":{"amount":12.50,"currency":"EUR"},"newName":"r"}', b"\x00")
proto("what is not set", events.Order(),
      '{"orderId":"","big":0,"huge":0,"small":0,"f64":0,"f":0,"d":0,"ok":false,"raw":"","status":"UNKNOWN","lines":[],"byName":{},"byNumber":{},"byFlag":{},"newName":""}', b"\x00")
proto("an unknown enum", events.Order(status=9),
      '{"orderId":"","big":0,"huge":0,"small":0,"f64":0,"f":0,"d":0,"ok":false,"raw":"","status":9,"lines":[],"byName":{},"byNumber":{},"byFlag":{},"newName":""}', b"\x00")
# Index [0, 0, 0]: Order.Line.Deep; in zigzag 3 is 06.
proto("a nested message", events.Order.Line.Deep(x=5), '{"x":5}', b"\x06\x00\x00\x00")

known = events.Known(
    at=timestamp_pb2.Timestamp(seconds=-1, nanos=500000000), took=duration_pb2.Duration(seconds=-1, nanos=-500000000),
    mask=field_mask_pb2.FieldMask(paths=["order_id", "lines.unit_price"]), wrapped=wrappers_pb2.Int64Value(value=0), name=wrappers_pb2.StringValue(value="x"),
    bytes=wrappers_pb2.BytesValue(value=b"\x01"), value=struct_pb2.Value(number_value=1.5), list=struct_pb2.ListValue(values=[struct_pb2.Value(bool_value=True), struct_pb2.Value(null_value=0)]),
    times=[timestamp_pb2.Timestamp(seconds=253402300799)])
known.object.update({"b": [1, "x"], "a": {"c": None}})
known.any.Pack(events.Order.Line(sku="s"))
proto("well-known types", known,
      '{"at":"1969-12-31T23:59:59.5Z","took":"-1.5s","mask":"orderId,lines.unitPrice","object":{"a":{"c":null},"b":[1,"x"]},"value":1.5,"list":[true,null],"wrapped":0,"name":"x",'
      '"bytes":"AQ==","any":{"@type":"type.googleapis.com/shop.Order.Line","sku":"s"},"nothing":null,"times":["9999-12-31T23:59:59Z"]}', b"\x02\x02")
strange = events.Known(any=any_pb2.Any(type_url="type.googleapis.com/of.Nobody", value=b"\x01"))
proto("an Any of an unknown type", strange, '{"any":{"@type":"type.googleapis.com/of.Nobody","value":"AQ=="},"nothing":null,"times":[]}', b"\x02\x02")
wrapped = events.Known()
wrapped.any.Pack(timestamp_pb2.Timestamp(seconds=0))
proto("an Any of a well-known type", wrapped, '{"any":{"@type":"type.googleapis.com/google.protobuf.Timestamp","value":"1970-01-01T00:00:00Z"},"nothing":null,"times":[]}', b"\x02\x02")
ancient = old.Old(id="i", packed=[1, 2])
ancient.box.label = "l"
proto("proto2", ancient, '{"id":"i","box":{"label":"l"},"packed":[1,2]}', b"\x00", schema=OLD, references=())

target = pathlib.Path(__file__).parent / "vectors.json"
target.write_text(json.dumps(vectors, indent=1, ensure_ascii=False) + "\n")
print(len(vectors), "vectors")
