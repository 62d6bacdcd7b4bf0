// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Command probe is what the cluster's self-test runs, in pods and on the host.
//
//	probe serve ADDR        HTTP: /  /read?path=  /dial?addr=  /resolve?name=
//	probe greet ADDR TEXT   TCP: says TEXT to whoever connects
//	probe get URL           prints what an HTTP server answers
//	probe finish TEXT       leaves TEXT as its container's termination message
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const timeout = 5 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		log.Fatal("probe: ", err)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "serve":
		return serve(args[1])
	case len(args) == 3 && args[0] == "greet":
		return greet(args[1], args[2])
	case len(args) == 2 && args[0] == "get":
		return get(args[1])
	case len(args) == 2 && args[0] == "finish":
		return os.WriteFile("/dev/termination-log", []byte(args[1]), 0o600)
	}
	return errors.New("usage: probe serve ADDR | greet ADDR TEXT | get URL | finish TEXT")
}

func serve(addr string) error {
	answer := func(f func(arg string) (string, error), key string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			text, err := f(r.URL.Query().Get(key))
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			_, _ = io.WriteString(w, text)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", answer(func(string) (string, error) { return os.Hostname() }, ""))
	mux.HandleFunc("/read", answer(func(path string) (string, error) {
		content, err := os.ReadFile(path)
		return string(content), err
	}, "path"))
	mux.HandleFunc("/dial", answer(dial, "addr"))
	mux.HandleFunc("/resolve", answer(func(name string) (string, error) {
		addrs, err := net.LookupHost(name)
		return strings.Join(addrs, " "), err
	}, "name"))
	log.Print("serving on ", addr)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	failed := make(chan error, 1)
	server := &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: timeout}
	go func() { failed <- server.ListenAndServe() }()
	select {
	case <-stop:
		return server.Close()
	case err := <-failed:
		return err
	}
}

// dial connects and returns what the other side says first.
func dial(addr string) (string, error) {
	conn, err := net.DialTimeout("tcp", addr, timeout)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return "", err
	}
	said, err := io.ReadAll(conn)
	return string(said), err
}

func greet(addr, text string) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		if _, err := io.WriteString(conn, text); err != nil {
			log.Print(err)
		}
		_ = conn.Close()
	}
}

func get(url string) error {
	client := http.Client{Timeout: 2 * timeout}
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(os.Stdout, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return nil
}
