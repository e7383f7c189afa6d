//go:build race

package caddytest

const raceDetector = true
