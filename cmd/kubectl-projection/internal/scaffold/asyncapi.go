// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package scaffold

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// fromAsyncAPI takes the messages of one channel of an AsyncAPI document of version 2 or 3.
func fromAsyncAPI(doc map[string]any, channel string) (*Source, error) {
	version := fmt.Sprint(doc["asyncapi"])
	if !strings.HasPrefix(version, "2.") && !strings.HasPrefix(version, "3.") {
		return nil, fmt.Errorf("AsyncAPI %s is not known here: versions 2 and 3 are", version)
	}
	d := document{doc}
	channels, _ := doc["channels"].(map[string]any)
	names := slices.Sorted(maps.Keys(channels))
	switch {
	case len(names) == 0:
		return nil, errors.New("the AsyncAPI document has no channel")
	case channel == "" && len(names) > 1:
		return nil, fmt.Errorf("the AsyncAPI document has several channels: choose one with --channel: %s", strings.Join(names, ", "))
	case channel == "":
		channel = names[0]
	case !slices.Contains(names, channel):
		return nil, fmt.Errorf("the AsyncAPI document has no channel %q; it has %s", channel, strings.Join(names, ", "))
	}
	item, err := d.resolve(channels[channel], 0)
	if err != nil {
		return nil, err
	}
	s := &Source{Origin: "channel " + channel + " of an AsyncAPI document", Topic: topicOf(item, channel)}
	messages, err := d.messages(item)
	if err != nil {
		return nil, fmt.Errorf("channel %s: %w", channel, err)
	}
	if len(messages) == 0 {
		return nil, fmt.Errorf("channel %s has no message", channel)
	}
	return s, d.take(s, messages)
}

// topicOf is the name at the broker: that of the Kafka binding, or the address of version 3, or the channel's name.
func topicOf(item map[string]any, channel string) string {
	bindings, _ := item["bindings"].(map[string]any)
	kafka, _ := bindings["kafka"].(map[string]any)
	if topic, ok := kafka["topic"].(string); ok {
		return topic
	}
	if address, ok := item["address"].(string); ok {
		return address
	}
	return channel
}

// messages lists those of a channel: under publish or subscribe in version 2, under messages in version 3.
func (d document) messages(item map[string]any) ([]message, error) {
	type named struct {
		name string
		v    any
	}
	var found []named
	for _, key := range []string{"publish", "subscribe"} {
		operation, _ := item[key].(map[string]any)
		if operation["message"] == nil {
			continue
		}
		m, err := d.resolve(operation["message"], 0)
		if err != nil {
			return nil, err
		}
		if list, ok := m["oneOf"].([]any); ok {
			for _, v := range list {
				found = append(found, named{v: v})
			}
		} else {
			found = append(found, named{v: operation["message"]})
		}
		break
	}
	list, _ := item["messages"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(list)) {
		found = append(found, named{name, list[name]})
	}
	out := make([]message, 0, len(found))
	for _, f := range found {
		m, err := d.message(f.name, f.v)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

func (d document) message(name string, v any) (message, error) {
	m, err := d.resolve(v, 0)
	if err != nil {
		return message{}, err
	}
	for _, key := range []string{"name", "title"} {
		if text, ok := m[key].(string); ok {
			name = text
			break
		}
	}
	if name == "" {
		name = refName(v)
	}
	format, _ := m["schemaFormat"].(string)
	payload, err := d.resolve(m["payload"], 0)
	if err != nil {
		return message{}, err
	}
	if inner, ok := payload["schema"]; ok && payload["properties"] == nil {
		// Version 3 puts format and schema together.
		format, _ = payload["schemaFormat"].(string)
		if payload, err = d.resolve(inner, 0); err != nil {
			return message{}, err
		}
	}
	if format != "" && !strings.Contains(format, "json") && !strings.Contains(format, "asyncapi") {
		return message{}, fmt.Errorf("the payload of message %s is described in %s: JSON Schema is understood here, and for other formats a sample of events", name, format)
	}
	headers, err := d.resolve(m["headers"], 0)
	return message{name: name, payload: payload, headers: headers}, err
}

// refName is the last part of a reference.
func refName(v any) string {
	m, _ := v.(map[string]any)
	ref, _ := m["$ref"].(string)
	return ref[strings.LastIndexByte(ref, '/')+1:]
}
