// A server on crypto/tls and net/http. Its argument is the list that compiled.py describes.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
)

var asking = map[string]tls.ClientAuthType{
	"none":     tls.NoClientCert,
	"optional": tls.VerifyClientCertIfGiven,
	"required": tls.RequireAndVerifyClientCert,
}

var versions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

func main() {
	list, err := os.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	for lines := bufio.NewScanner(list); lines.Scan(); {
		go serve(strings.Split(lines.Text(), "\t"))
	}
	select {}
}

func serve(fields []string) {
	port, client, lowest, highest := fields[0], fields[1], fields[2], fields[3]
	chain, key, authorities, staple := fields[4], fields[5], fields[6], fields[7]
	certificate, err := tls.LoadX509KeyPair(chain, key)
	if err != nil {
		log.Fatal(err)
	}
	if staple != "-" {
		certificate.OCSPStaple = read(staple)
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{certificate},
		MinVersion:   versions[lowest],
		MaxVersion:   versions[highest],
		ClientAuth:   asking[client],
	}
	if client != "none" {
		config.ClientCAs = x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(read(authorities)) {
			log.Fatal("no certificate in " + authorities)
		}
	}
	welcome := http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) { fmt.Fprintln(answer, "welcome") })
	server := &http.Server{Addr: "127.0.0.1:" + port, Handler: welcome, TLSConfig: config}
	log.Fatal(server.ListenAndServeTLS("", ""))
}

func read(path string) []byte {
	data, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	return data
}
