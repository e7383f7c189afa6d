package requestbody

import (
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// request returns a request whose body has an unknown length.
func request(body io.Reader) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", body)
	r.ContentLength = -1
	return r
}

// sourced is a body that counts what is read of it.
type sourced struct {
	io.Reader
	read   int
	closed bool
}

func (s *sourced) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	s.read += n
	return n, err
}

func (s *sourced) Close() error {
	s.closed = true
	return nil
}

const digits = "0123456789"

func TestReadLeavesBodyWhole(t *testing.T) {
	broken := errors.New("broken")
	for _, test := range []struct {
		name   string
		body   io.Reader
		length int64
		limit  int64
		err    error // of Read
		after  error // at the end of the body
	}{
		{"short", strings.NewReader(digits), 10, 100, nil, nil},
		{"of unknown length", strings.NewReader(digits), -1, 100, nil, nil},
		{"in small parts", iotest.OneByteReader(strings.NewReader(digits)), -1, 100, nil, nil},
		{"with its end", iotest.DataErrReader(strings.NewReader(digits)), -1, 10, nil, nil},
		{"at the limit", strings.NewReader(digits), -1, 10, nil, nil},
		{"without a limit", strings.NewReader(digits), -1, math.MaxInt64, nil, nil},
		{"declared too long", strings.NewReader(digits), 10, 9, ErrTooLong, nil},
		{"too long", strings.NewReader(digits), -1, 9, ErrTooLong, nil},
		{"much too long", strings.NewReader(digits), -1, 1, ErrTooLong, nil},
		{"broken", io.MultiReader(strings.NewReader(digits), iotest.ErrReader(broken)), 20, 100, broken, broken},
		{"cut", io.MultiReader(strings.NewReader(digits), iotest.ErrReader(io.ErrUnexpectedEOF)), 20, 100, io.ErrUnexpectedEOF, io.ErrUnexpectedEOF},
		{"broken beyond the limit", io.MultiReader(strings.NewReader(digits), iotest.ErrReader(broken)), 20, 5, ErrTooLong, broken},
	} {
		t.Run(test.name, func(t *testing.T) {
			source := &sourced{Reader: test.body}
			r := request(source)
			r.ContentLength = test.length
			for range 2 {
				got, err := Read(r, test.limit)
				if err != test.err || err == nil && string(got) != digits || err != nil && got != nil {
					t.Errorf("read %q, %v, want the error %v", got, err, test.err)
				}
				if r.ContentLength != test.length {
					t.Errorf("the length became %d", r.ContentLength)
				}
			}
			if limit := min(test.limit, 1000) + 1; int64(source.read) > limit {
				t.Errorf("%d bytes were read", source.read)
			}
			if got, err := io.ReadAll(r.Body); string(got) != digits || err != test.after {
				t.Errorf("left %q, %v, want the error %v", got, err, test.after)
			}
			if r.Body.Close(); !source.closed {
				t.Error("the body was not closed")
			}
		})
	}
}

func TestReadReturnsNilWithoutBody(t *testing.T) {
	for name, r := range map[string]*http.Request{
		"none":   httptest.NewRequest(http.MethodGet, "/", nil),
		"nobody": httptest.NewRequest(http.MethodGet, "/", http.NoBody),
		"nil":    {Method: http.MethodGet},
	} {
		before := r.Body
		if got, err := Read(r, 10); got != nil || err != nil || r.Body != before {
			t.Errorf("%s: read %q, %v", name, got, err)
		}
	}
	r := request(strings.NewReader(""))
	if got, err := Read(r, 10); got == nil || len(got) > 0 || err != nil {
		t.Errorf("an empty body of unknown length: read %q, %v", got, err)
	}
}

func TestReadReadsOnlyWhatIsMissing(t *testing.T) {
	source := &sourced{Reader: strings.NewReader(digits)}
	r := request(source)
	for _, step := range []struct {
		limit int64
		err   error
		read  int
	}{{3, ErrTooLong, 4}, {2, ErrTooLong, 4}, {5, ErrTooLong, 6}, {10, nil, 10}, {10, nil, 10}, {4, ErrTooLong, 10}} {
		if _, err := Read(r, step.limit); err != step.err || source.read != step.read {
			t.Errorf("limit %d: %v, after %d bytes, want %v, %d", step.limit, err, source.read, step.err, step.read)
		}
	}
	if got, err := io.ReadAll(r.Body); string(got) != digits || err != nil {
		t.Errorf("left %q, %v", got, err)
	}
}

func TestReadReturnsRestOfBodyThatWasReadInPart(t *testing.T) {
	r := request(strings.NewReader(digits))
	if _, err := Read(r, 100); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, r.Body, 4); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(r, 100); string(got) != digits[4:] || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	if got, err := io.ReadAll(r.Body); string(got) != digits[4:] || err != nil {
		t.Errorf("left %q, %v", got, err)
	}
}

func TestReadRemovesTrailersThatFrameMessage(t *testing.T) {
	r := request(strings.NewReader(digits))
	r.Trailer = http.Header{"X-Sum": {"1"}, "Content-Length": {"1"}, "Trailer": {"x"}, "Transfer-Encoding": {"chunked"}}
	if _, err := Read(r, 100); err != nil || len(r.Trailer) != 1 || r.Trailer.Get("X-Sum") != "1" {
		t.Errorf("the trailers are %v, after %v", r.Trailer, err)
	}
}

func TestParametersAreThoseOfForm(t *testing.T) {
	var got []string
	for _, p := range Parameters([]byte("op=rpc&a%5B%5D=1+2&&flag&x==&%zz=1&y=%zz")) {
		name, named := p.Name()
		value, ok := p.Value()
		if !named {
			name = "?"
		}
		if !ok {
			value = "?"
		}
		got = append(got, name+"="+value)
	}
	if want := []string{"op=rpc", "a[]=1 2", "=", "flag=", "x==", "?=1", "y=?"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestIsFormGoesByContentType(t *testing.T) {
	for mediaType, want := range map[string]bool{
		"application/x-www-form-urlencoded": true, "Application/X-WWW-Form-Urlencoded ; charset=UTF-8": true,
		"": false, "text/plain": false, "multipart/form-data; boundary=x": false, "application/json": false,
	} {
		if IsForm(http.Header{"Content-Type": {mediaType}}) != want {
			t.Errorf("%s: got %t", mediaType, !want)
		}
	}
}
