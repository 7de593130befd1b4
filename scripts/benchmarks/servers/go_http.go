// go_http.go: "/" answers with 14 bytes, "/large" with 100 kB
package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
)

func answer(body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Write(body)
	}
}

func main() {
	http.HandleFunc("/", answer([]byte("Hello, world!\n")))
	http.HandleFunc("/large", answer(bytes.Repeat([]byte("x"), 100000)))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	panic(http.Serve(listener, nil))
}
