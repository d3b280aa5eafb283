// Command registry is a container registry in memory, for trying releases on one machine: it listens on a free
// port of this machine, prints host:port, and ends when its standard input does.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(l.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	quiet := log.New(io.Discard, "", 0)
	s := http.Server{Handler: ggcr.New(ggcr.WithReferrersSupport(true), ggcr.Logger(quiet)), ReadHeaderTimeout: time.Minute, ErrorLog: quiet}
	log.Fatal(s.Serve(l))
}
