// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
	"sigs.k8s.io/yaml"
)

// recipe applies a recipe of docs/cookbook as it stands there, with topics of the space's own that are created where
// they are missing, and waits until its projection is caught up with nothing.
func (n *space) recipe(name, projection string) {
	n.t.Helper()
	text, err := os.ReadFile(root + "/docs/cookbook/" + name + "/projection.yaml")
	if err != nil {
		n.t.Fatal(err)
	}
	for _, u := range n.objects(string(text)) {
		if u.GetKind() == "EventTopic" {
			spec := u.Object["spec"].(map[string]any)
			spec["topic"] = n.name + "." + u.GetName()
			spec["create"] = map[string]any{"partitions": 3, "replicationFactor": 1}
		}
		y, err := yaml.Marshal(u.Object)
		if err != nil {
			n.t.Fatal(err)
		}
		n.apply(string(y))
	}
	n.caughtUp(projection)
}

// TestCookbookJoin feeds two topics at the same time: names are right whichever side came first.
func TestCookbookJoin(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.apply(brokerAndStore)
	n.recipe("customer-orders", "customer-orders")
	const customers, orders = 100, 3_000
	var messages []message
	for i := range orders {
		c := i % customers
		id := fmt.Sprintf("c-%d", c)
		messages = append(messages, message{"sales", fmt.Sprintf("o-%d", i), fmt.Sprintf(`{"type":"Sold","orderId":"o-%d","customerId":%q,"amount":0.10}`, i, id)})
		if i%10 == 5 {
			c = i / 10 % customers
			id = fmt.Sprintf("c-%d", c)
			messages = append(messages, message{"customers", id, fmt.Sprintf(`{"type":"CustomerRenamed","id":%q,"name":"%s-%d"}`, id, id, i)})
		}
	}
	messages = append(messages, message{"customers", "c-7", `{"type":"CustomerForgotten","id":"c-7"}`})
	n.produce(messages...)
	// Each customer is renamed three times; the last of them counts, and c-7 is forgotten.
	n.holds(`SELECT count(*), sum(total), count(customer_name), count(*) FILTER (WHERE customer_name LIKE customer_id || '-2%') FROM $SCHEMA.customer_order`,
		fmt.Sprintf("(%d,%d.00,%d,%d)", orders, orders/10, orders-orders/customers, orders-orders/customers))
	n.caughtUp("customer-orders")
}

// TestCookbookFanOut changes all rows of a warehouse, between events that change one row each.
func TestCookbookFanOut(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.apply(brokerAndStore)
	n.recipe("inventory", "inventory")
	var messages []message
	warehouse := func(w int, format string, args ...any) {
		id := fmt.Sprint("w", w)
		messages = append(messages, message{"stock", id, fmt.Sprintf(`{"warehouse":%q,`, id) + fmt.Sprintf(format, args...) + "}"})
	}
	for round := range 20 {
		for w := range 4 {
			var lines []string
			for sku := range 25 {
				lines = append(lines, fmt.Sprintf(`{"sku":"s%d","quantity":%d}`, sku, 1+(sku+round)%3))
			}
			warehouse(w, `"type":"ShipmentReceived","lines":[%s]`, strings.Join(lines, ","))
			warehouse(w, `"type":"OrderPicked","picks":{"s0":1,"s1":0,"s2":1}`)
			warehouse(w, `"type":"Counted","sku":"s3","quantity":%d`, 100+round)
			if round == 10 {
				warehouse(w, `"type":"CountStarted"`)
			}
		}
	}
	warehouse(3, `"type":"WarehouseClosed"`)
	warehouse(3, `"type":"ShipmentReceived","lines":[{"sku":"s0","quantity":5}]`)
	n.produce(messages...)
	n.holds(`SELECT warehouse, count(*), sum(on_hand), max(on_hand) FILTER (WHERE sku = 's3'), count(counted_at) FROM $SCHEMA.stock_level GROUP BY 1 ORDER BY 1`,
		expectStock(0), expectStock(1), expectStock(2), "(w3,1,5,,0)")
	n.caughtUp("inventory")
}

// expectStock is what TestCookbookFanOut leaves in a warehouse that stays open.
func expectStock(w int) string {
	hand := map[int]int{}
	for round := range 20 {
		for sku := range 25 {
			hand[sku] += 1 + (sku+round)%3
		}
		hand[0]--
		hand[2]--
		hand[3] = 100 + round
	}
	sum := 0
	for _, q := range hand {
		sum += q
	}
	return fmt.Sprintf("(w%d,25,%d,%d,1)", w, sum, hand[3])
}

// TestCookbookLines writes two models from one event.
func TestCookbookLines(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.apply(brokerAndStore)
	n.recipe("order-lines", "purchase")
	var messages []message
	for i := range 500 {
		id := fmt.Sprintf("o-%d", i)
		messages = append(messages, message{"purchases", id, fmt.Sprintf(
			`{"type":"Purchased","orderId":%q,"customer":"c","lines":[{"sku":"a","quantity":2,"price":0.10},{"sku":"b","quantity":1,"price":%d.05}]}`, id, i%7)})
		if i%2 == 0 {
			messages = append(messages, message{"purchases", id, fmt.Sprintf(`{"type":"PurchaseShipped","orderId":%q}`, id)})
		}
		if i%5 == 0 {
			messages = append(messages, message{"purchases", id, fmt.Sprintf(`{"type":"LineReturned","orderId":%q,"line":2}`, id)})
		}
	}
	n.produce(messages...)
	n.holds(`SELECT count(*), sum(total) = (SELECT sum(quantity * price) FROM $SCHEMA.purchase_line) AS sums FROM $SCHEMA.purchase`, "(500,t)")
	n.holds(`SELECT state, count(*) FROM $SCHEMA.purchase_line GROUP BY 1 ORDER BY 1`, "(open,450)", "(returned,100)", "(shipped,450)")
	n.caughtUp("purchase")
}

// TestCookbookCloudEvents takes structured and binary events of one topic.
func TestCookbookCloudEvents(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.apply(brokerAndStore)
	n.recipe("device-state", "device-state")
	var records []*kgo.Record
	for i := range 300 {
		id := fmt.Sprintf("d-%d", i%3)
		data := fmt.Sprintf(`{"device":%q,"celsius":%d.5}`, id, i%50)
		r := &kgo.Record{Topic: n.name + ".telemetry", Key: []byte(id)}
		if i%2 == 0 {
			r.Value = fmt.Appendf(nil, `{"specversion":"1.0","type":"com.example.reading","source":"/d","id":"e-%d","time":"2026-03-01T08:00:00Z","datacontenttype":"application/json","data":%s}`, i, data)
			r.Headers = []kgo.RecordHeader{{Key: "content-type", Value: []byte("application/cloudevents+json; charset=UTF-8")}}
		} else {
			r.Value = []byte(data)
			for k, v := range map[string]string{"ce_specversion": "1.0", "ce_type": "com.example.reading", "ce_source": "/d", "ce_id": fmt.Sprintf("e-%d", i), "content-type": "application/json"} {
				r.Headers = append(r.Headers, kgo.RecordHeader{Key: k, Value: []byte(v)})
			}
		}
		records = append(records, r)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := producer().ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	n.holds(`SELECT device, temperature, hottest, last_event FROM $SCHEMA.device_state ORDER BY 1`,
		"(d-0,47.50,49.50,e-297)", "(d-1,48.50,49.50,e-298)", "(d-2,49.50,49.50,e-299)")
	// What none of the recipe's handlers names is counted by its default handler.
	n.produce(message{"telemetry", "d-0", `{"specversion":"1.0","type":"com.example.other","source":"/d","id":"x","data":{"device":"d-0"}}`})
	n.holds(`SELECT unknown_events FROM $SCHEMA.device_state WHERE device = 'd-0'`, "(1)")
}

// TestCookbookVersions sends the events of a product in any order, over several partitions.
func TestCookbookVersions(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.apply(brokerAndStore)
	n.recipe("product-catalog", "product-catalog")
	var messages []message
	for i := range 1_000 {
		version := (i*389)%1_000 + 1 // each once, in no order
		messages = append(messages, message{"prices", fmt.Sprint("any", i%17), fmt.Sprintf(`{"type":"PriceChanged","sku":"s%d","version":%d,"price":%d,"currency":"c%d"}`, version%4, version, version, version)})
	}
	messages = append(messages, message{"descriptions", "x", `{"type":"Described","sku":"s1","title":"late","editedAt":"2026-03-02T08:00:00Z"}`},
		message{"descriptions", "x", `{"type":"Described","sku":"s1","title":"early","editedAt":"2026-03-01T08:00:00Z"}`})
	n.produce(messages...)
	n.holds(`SELECT sku, price, currency, price_version, title FROM $SCHEMA.product ORDER BY 1`,
		"(s0,1000.00,c1000,1000,)", "(s1,997.00,c997,997,late)", "(s2,998.00,c998,998,)", "(s3,999.00,c999,999,)")
	n.caughtUp("product-catalog")
}

// TestCookbookAvro takes payments in Avro, whose schema a real registry has.
func TestCookbookAvro(t *testing.T) {
	t.Parallel()
	n := newSpace(t)
	n.apply(strings.Replace(brokerAndStore, "spec:\n  kafka:", "spec:\n  schemaRegistry: {urls: [\"$REGISTRY\"]}\n  kafka:", 1))
	n.recipe("payment-status", "payment-status")

	const text = `{"type":"record","name":"Payment","fields":[
		{"name":"kind","type":{"type":"enum","name":"Kind","symbols":["AUTHORIZED","CAPTURED","REFUNDED"]}},
		{"name":"paymentId","type":"string"},
		{"name":"amount","type":{"type":"bytes","logicalType":"decimal","precision":12,"scale":2}},
		{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}}]}`
	registry, err := sr.NewClient(sr.URLs(parts()["SCHEMA_REGISTRY_URL"]))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := registry.CreateSchema(t.Context(), n.name+".payments-value", sr.Schema{Schema: text})
	if err != nil {
		t.Fatal(err)
	}
	schema, err := avro.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	var messages []message
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	for i := range 600 {
		id := fmt.Sprint("p-", i%100)
		kind := []string{"AUTHORIZED", "CAPTURED", "REFUNDED"}[i/100%3]
		payload, err := schema.Encode(map[string]any{"kind": kind, "paymentId": id, "amount": big.NewRat(int64(1050-100*(i/100%3)), 100), "at": at.Add(time.Duration(i) * time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		value := binary.BigEndian.AppendUint32([]byte{0}, uint32(subject.ID))
		messages = append(messages, message{"payments", id, string(append(value, payload...))})
	}
	n.produce(messages...)
	n.holds(`SELECT count(*), sum(authorized), sum(captured), sum(refunded), sum(open), min(captured_at) AT TIME ZONE 'UTC' FROM $SCHEMA.payment_status`,
		`(100,2100.00,1900.00,1700.00,200.00,"2026-03-01 08:01:40")`)
	n.caughtUp("payment-status")
}
