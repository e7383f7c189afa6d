//go:build race

package lot

const raceDetector = true
