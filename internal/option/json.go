package option

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// JSONMember reads a JSON pointer, and after it either the word absent or any number of
// values, which it appends to the target. A value that is not valid JSON is a string.
func JSONMember(pointer *string, target *[]json.RawMessage, absent *bool) Reader {
	return func(d *caddyfile.Dispenser) error {
		if !d.NextArg() {
			return d.ArgErr()
		}
		*pointer = d.Val()
		values := d.RemainingArgs()
		if *absent = slices.Contains(values, "absent"); *absent {
			if len(values) > 1 {
				return d.Err("absent cannot be combined with values")
			}
			return nil
		}
		for _, text := range values {
			value := jsonOf(text)
			if err := checkNumbers(value); err != nil {
				return d.Errf("%s: %w", text, err)
			}
			*target = append(*target, value)
		}
		return nil
	}
}

// jsonOf returns the text if it is valid JSON, otherwise the text as a JSON string.
func jsonOf(text string) json.RawMessage {
	var compact bytes.Buffer
	if json.Compact(&compact, []byte(text)) == nil {
		return compact.Bytes()
	}
	return caddyconfig.JSON(text, nil)
}

// checkNumbers returns an error for numbers that would lose precision: Caddy decodes
// numbers as float64 when it adapts a Caddyfile.
func checkNumbers(value json.RawMessage) error {
	decoder := json.NewDecoder(bytes.NewReader(value))
	for {
		token, err := decoder.Token()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		if number, ok := token.(float64); ok && math.Abs(number) >= 1<<53 {
			return errors.New("numbers of 2^53 and above are not exact in a Caddyfile")
		}
	}
}
