package status

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"
)

//go:embed page.html
var page []byte

// policy is the page's Content-Security-Policy. It allows only the page's own script,
// style, images and address.
var policy = strings.Join([]string{
	"default-src 'none'",
	"script-src " + hashOf("script"),
	"style-src " + hashOf("style"),
	"connect-src 'self'",
	"img-src data:",
	"base-uri 'none'",
	"form-action 'none'",
	"frame-ancestors 'none'",
	"require-trusted-types-for 'script'",
}, "; ")

// entityTag identifies the page of this build.
var entityTag = fmt.Sprintf(`"%x"`, sha256.Sum256(page))

// hashOf returns the hash source of the page's only element with this name (CSP 3,
// section 2.3.1).
func hashOf(element string) string {
	_, rest, _ := bytes.Cut(page, []byte("<"+element+">"))
	content, _, _ := bytes.Cut(rest, []byte("</"+element+">"))
	sum := sha256.Sum256(content)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func servePage(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", policy)
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-cache")
	header.Set("ETag", entityTag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(page))
}
