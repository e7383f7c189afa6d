package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestTheRecipeForPHPHolds(t *testing.T) {
	t.Parallel()
	page := readRecipe(t, "php")
	php := caddytest.Need(t, "PHP is missing: install php-cli and php-sqlite3.", "php")
	root := t.TempDir()
	database := filepath.Join(root, "app.sqlite")
	queries := func(text string) string {
		return fmt.Sprintf("<?php (new PDO('sqlite:%s'))->exec(%q);", database, text)
	}
	create := exec.Command(php, "-r", strings.TrimPrefix(queries("CREATE TABLE message (id INTEGER PRIMARY KEY, text TEXT)"), "<?php "))
	if output, err := create.CombinedOutput(); err != nil {
		t.Fatalf("making the database: %v, install php-sqlite3\n%s", err, output)
	}
	insert := queries("INSERT INTO message (text) VALUES ('news')")
	write(t, filepath.Join(root, "updates.php"), page.block("php", 0, "/srv/data/app.sqlite", database))
	write(t, filepath.Join(root, "post.php"), insert)
	write(t, filepath.Join(root, "close.php"), insert+"\n"+page.block("php", 1))
	socket := startFPM(t, root)
	caddy := caddytest.Start(t, strings.Replace(
		page.caddyfile("/srv/www", "{$ROOT}", "/run/php/php-fpm.sock", "{$SOCKET}"),
		"parker /updates.php", "parker_notify /close.php\n\tparker /updates.php", 1),
		"", "ROOT="+root, "SOCKET="+socket)
	worker := filepath.Join(root, "worker.php")
	write(t, worker, insert+"\n"+page.block("php", 2, "127.0.0.1:9080", caddy.Hook)+"\npublish('updates');\n")

	for i, publish := range []func(){
		func() { caddytest.Do(t.Context(), http.MethodPost, "http://"+caddy.Site+"/post.php", "") },
		func() { caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/close.php", "") },
		func() {
			if output, err := exec.Command(php, worker).CombinedOutput(); err != nil || len(output) > 0 {
				t.Errorf("the worker failed: %v\n%s", err, output)
			}
		},
	} {
		waiting := caddytest.Get(t.Context(), fmt.Sprintf("http://%s/updates.php?after=%d", caddy.Site, i))
		caddy.AwaitWaiting(t, "updates", 1)
		publish()
		given := <-waiting
		if given.Release() != "replay" || !strings.Contains(given.Body, `"text":"news"`) {
			t.Errorf("publisher %d: the poll was answered %+v", i, given)
		}
	}
}

func TestTheRecipeForCronReleasesAndSendsMessages(t *testing.T) {
	t.Parallel()
	page := readRecipe(t, "cron")
	caddytest.Need(t, "curl is missing: install curl.", "curl")
	backend := caddytest.NewPages(t)
	backend.Put("/orders", caddytest.Page{Body: "[]"})
	caddy := caddytest.Start(t, page.caddyfile("127.0.0.1:8080", "{$BACKEND}"), backend.Address)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "rates.json"), `{"EUR":1}`)
	job := filepath.Join(dir, "import-orders")
	if err := os.WriteFile(job, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	run := func(script string) {
		t.Helper()
		if output, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, output)
		}
	}

	// The first five words of a line in a crontab are its times.
	line := strings.SplitN(page.block("crontab", 0, "127.0.0.1:9080", caddy.Hook, "import-orders", job), " ", 6)[5]
	waiting := caddytest.Get(t.Context(), "http://"+caddy.Site+"/orders")
	caddy.AwaitWaiting(t, "orders", 1)
	backend.Put("/orders", caddytest.Page{Body: "[7]"})
	run(line)
	expect(t, "[7]", "replay", waiting)

	backend.Put("/orders", caddytest.Page{Body: "[]"})
	for _, n := range []int{0, 1} {
		message := page.block("sh", n, "127.0.0.1:9080/rates", caddy.Hook+"/orders", "/srv/data", dir)
		waiting := caddytest.Get(t.Context(), "http://"+caddy.Site+"/orders")
		caddy.AwaitWaiting(t, "orders", 1)
		run(message)
		given := <-waiting
		if given.Body != `{"EUR":1}` || given.Release() != "message" || given.Header.Get("Content-Type") != "application/json" {
			t.Errorf("the poll was answered %+v", given)
		}
	}
}

func TestTheRecipeForPostgreSQLPublishesWhatIsCommitted(t *testing.T) {
	t.Parallel()
	page := readRecipe(t, "postgresql")
	caddytest.Need(t, "curl is missing: install curl.", "curl")
	environment := startPostgreSQL(t)
	sql := func(text string) { runWith(t, environment, text, "psql", "-qX", "-v", "ON_ERROR_STOP=1") }
	sql("CREATE TABLE message (room int, text text);")
	sql(page.block("sql", 0))
	publishesRooms(t, page, environment, sql)
}

func TestTheRecipeForMySQLPublishesWhatIsCommitted(t *testing.T) {
	t.Parallel()
	page := readRecipe(t, "mysql")
	caddytest.Need(t, "curl is missing: install curl.", "curl")
	environment := startMariaDB(t)
	sql := func(text string) { runWith(t, environment, text, "mysql") }
	sql("CREATE TABLE message (room int, text text);")
	sql(page.block("sql", 0))
	publishesRooms(t, page, environment, sql)
	caddytest.Await(t, "the outbox is empty", func() bool {
		count := exec.Command("mysql", "-N", "-e", "SELECT COUNT(*) FROM outbox")
		count.Env = environment
		output, err := count.Output()
		return err == nil && strings.TrimSpace(string(output)) == "0"
	})
}

// publishesRooms runs a recipe's loop, and has the database write to rooms.
func publishesRooms(t *testing.T, page recipe, environment []string, sql func(string)) {
	t.Helper()
	backend := caddytest.NewPages(t)
	for room := range 3 {
		backend.Put(fmt.Sprint("/rooms/", room), caddytest.Page{Body: "[]"})
	}
	caddy := caddytest.Start(t, page.caddyfile("127.0.0.1:8080", "{$BACKEND}"), backend.Address)
	loop := exec.Command("sh", "-c", page.block("sh", 0, "127.0.0.1:9080", caddy.Hook))
	loop.Env = environment
	log := new(caddytest.Log)
	loop.Stdout, loop.Stderr = log, log
	loop.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := loop.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-loop.Process.Pid, syscall.SIGTERM)
		loop.Wait()
		if t.Failed() {
			t.Logf("the loop said:\n%s", log)
		}
	})
	// What was written before the loop listened is not told of: here it listens
	// once it tells.
	caddytest.Await(t, "the loop publishes", func() bool {
		sql("INSERT INTO message VALUES (0, 'first');")
		return !strings.HasSuffix(newest(t, caddy), "-0")
	})

	for range 3 {
		waiting := caddytest.Get(t.Context(), "http://"+caddy.Site+"/rooms/1")
		caddy.AwaitWaiting(t, "rooms/1", 1)
		sql("START TRANSACTION; INSERT INTO message VALUES (1, 'no'); ROLLBACK;")
		sql("INSERT INTO message VALUES (2, 'other');")
		caddy.AwaitWaiting(t, "rooms/1", 1)
		backend.Put("/rooms/1", caddytest.Page{Body: `["news"]`})
		sql("START TRANSACTION; INSERT INTO message VALUES (1, 'a'); INSERT INTO message VALUES (1, 'b'); COMMIT;")
		expect(t, `["news"]`, "replay", waiting)
		backend.Put("/rooms/1", caddytest.Page{Body: "[]"})
	}
}

// newest is where the hook says that events stand.
func newest(t *testing.T, caddy *caddytest.Caddy) string {
	t.Helper()
	_, after, _ := strings.Cut(caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Hook+"/", "").Body, `"position":"`)
	newest, _, _ := strings.Cut(after, `"`)
	return newest
}

// recipe is a page of docs/recipes.
type recipe struct {
	t    *testing.T
	text string
}

func readRecipe(t *testing.T, name string) recipe {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "recipes", name+".md"))
	if err != nil {
		t.Fatal(err)
	}
	return recipe{t, string(text)}
}

// block is the nth block of code in the language, from 0, with each word of
// replace put in the place of the one before it.
func (r recipe) block(language string, n int, replace ...string) string {
	r.t.Helper()
	blocks := strings.Split(r.text, "\n```"+language+"\n")
	if n+1 >= len(blocks) {
		r.t.Fatalf("the recipe has no block %d of %s", n, language)
	}
	block, _, _ := strings.Cut(blocks[n+1], "\n```")
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(block, replace[i]) {
			r.t.Fatalf("the recipe says nothing of %s in\n%s", replace[i], block)
		}
		block = strings.ReplaceAll(block, replace[i], replace[i+1])
	}
	return block
}

// caddyfile is the recipe's first Caddyfile, at addresses of the test.
func (r recipe) caddyfile(replace ...string) string {
	r.t.Helper()
	return r.caddyfileAt(0, replace...)
}

// caddyfileAt is like caddyfile for the nth Caddyfile, from 0.
func (r recipe) caddyfileAt(n int, replace ...string) string {
	r.t.Helper()
	return r.block("caddyfile", n, append(replace, "example.com", "http://{$SITE}", "http://127.0.0.1:9080", "http://{$HOOK}")...)
}

// runWith runs a program with the environment and the text as its input.
func runWith(t *testing.T, environment []string, input, program string, args ...string) {
	t.Helper()
	command := exec.Command(program, args...)
	command.Env = environment
	command.Stdin = strings.NewReader(input)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s\n%s", program, err, input, output)
	}
}
