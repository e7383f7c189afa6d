// What the page shows, and when, in milliseconds since 1970. Each page calls show() where
// it would draw; the test reads the rest.
var shown = { begun: performance.timeOrigin, restored: false, answers: 0, times: {} };

function now() {
	return performance.timeOrigin + performance.now();
}

function show(version) {
	document.title = "version " + version;
	shown.answers++;
	if (!(version in shown.times)) {
		shown.times[version] = now();
	}
}

// A page that comes back from the back/forward cache goes on where it was.
addEventListener("pageshow", function (event) {
	if (event.persisted) {
		shown.begun = now();
		shown.restored = true;
	}
});

// The first time at which the page showed a version, or a later one; 0 if it did not yet.
function shownAt(version) {
	var times = [];
	for (var other in shown.times) {
		if (Number(other) >= version) {
			times.push(shown.times[other]);
		}
	}
	return times.length ? Math.min.apply(null, times) : 0;
}

// Resolves to when the page began and when it showed a version, or to zeros if it did not
// within the time.
function until(version, patience) {
	var last = now() + patience;
	return new Promise(function look(resolve) {
		var at = shownAt(version);
		if (at || now() > last) {
			resolve([shown.begun, at]);
		} else {
			setTimeout(look, 20, resolve);
		}
	});
}

// What a button of the page does. Returns how long it took.
function click() {
	var begun = performance.now();
	return fetch("click", { method: "POST" }).then(function (answer) {
		return answer.json();
	}).then(function () {
		return performance.now() - begun;
	});
}
