package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// pending is a plugin that adds the number of comments to be checked to each heartbeat.
const pending = `<?php
add_filter('heartbeat_send', fn ($answer) => $answer + ['pending' => (int) wp_count_comments()->moderated]);
add_action('wp_insert_comment', fn () => publish('heartbeat'));
`

func TestRecipeForWordPressHoldsHeartbeats(t *testing.T) {
	t.Parallel()
	recipe := readRecipe(t, "wordpress")
	root := installWordPress(t)
	caddy := caddytest.Start(t, recipe.caddyfile("/var/www/wordpress", "{$ROOT}", "/run/php/php-fpm.sock", "{$SOCKET}"),
		"", "ROOT="+root, "SOCKET="+startFPM(t, root))
	plugins := filepath.Join(root, "wp-content", "mu-plugins")
	if err := os.MkdirAll(plugins, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(plugins, "publish.php"), recipe.block("php", 0, "127.0.0.1:9080", caddy.Hook))
	write(t, filepath.Join(plugins, "pending.php"), pending)

	visitor, page := openPage(t, caddy.Site, "/wp-login.php"), openPage(t, caddy.Site, "/wp-login.php")
	form := func(path string, values url.Values) caddytest.Answer {
		return page.do(http.MethodPost, path, values.Encode(), "Content-Type: application/x-www-form-urlencoded")
	}
	form("/wp-login.php", url.Values{"log": {"admin"}, "pwd": {"secret"}, "testcookie": {"1"}})
	list := page.do(http.MethodGet, "/wp-admin/edit.php", "", "Sec-Fetch-Dest: document", "Accept: text/html")
	nonce := regexp.MustCompile(`heartbeatSettings = \{"nonce":"(\w+)"`).FindStringSubmatch(list.Body)
	if nonce == nil {
		t.Fatalf("WordPress's page was answered %+v", list)
	}
	heartbeat := func() <-chan caddytest.Answer { // as wp-includes/js/heartbeat.js does
		body := "data%5Bwp-check-locked-posts%5D%5B%5D=post-1&interval=60&_nonce=" + nonce[1] + "&action=heartbeat&screen_id=edit-post&has_focus=true"
		return page.fetch(http.MethodPost, "/wp-admin/admin-ajax.php", body, "Content-Type: application/x-www-form-urlencoded; charset=UTF-8",
			"Accept: application/json, text/javascript, */*; q=0.01", "X-Requested-With: XMLHttpRequest")
	}
	isNews(t, <-heartbeat(), `"pending":0`)
	waiting := awaitHeld(t, heartbeat)

	comment := visitor.do(http.MethodPost, "/wp-comments-post.php", url.Values{"comment": {"hello"}, "author": {"Ada"}, "email": {"ada@example.com"}, "comment_post_ID": {"1"}}.Encode(),
		"Content-Type: application/x-www-form-urlencoded")
	if comment.Status != http.StatusFound {
		t.Fatalf("the comment was answered %+v", comment)
	}
	isReleased(t, answerIn(t, waiting), `"pending":1`)

	// Other calls of the same URL are not held.
	if given := form("/wp-admin/admin-ajax.php", url.Values{"action": {"date_format"}, "date": {"Y"}}); given.Status != http.StatusOK || given.Release() != "" {
		t.Errorf("another call was answered %+v", given)
	}
}

// installWordPress returns the root of a new WordPress with its own database.
func installWordPress(t *testing.T) (root string) {
	t.Helper()
	const missing = "WordPress is missing: install wordpress and php-mysql."
	php := caddytest.Need(t, "PHP is missing: install php-cli.", "php")
	source := filepath.Dir(caddytest.Need(t, missing, "/usr/share/wordpress/wp-load.php"))
	environment := startMariaDB(t)
	root = shortDir(t)
	for _, name := range []string{"wp-admin", "wp-includes", "index.php", "wp-*.php"} {
		paths, _ := filepath.Glob(filepath.Join(source, name))
		if output, err := exec.Command("cp", append([]string{"-rL", "-t", root}, paths...)...).CombinedOutput(); err != nil {
			t.Fatalf("copying WordPress: %v\n%s", err, output)
		}
	}
	write(t, filepath.Join(root, "wp-config.php"), fmt.Sprintf(wordPressConfig, strings.TrimPrefix(environment[len(environment)-1], "MYSQL_UNIX_PORT=")))
	install := exec.Command(php, "-r", `define('WP_INSTALLING', true); require $argv[1].'/wp-load.php'; require ABSPATH.'wp-admin/includes/upgrade.php';
		wp_install('test', 'admin', 'admin@example.com', false, '', 'secret');`, root)
	if output, err := install.CombinedOutput(); err != nil {
		t.Fatalf("installing WordPress: %v, install php-mysql\n%s", err, output)
	}
	return root
}

const wordPressConfig = `<?php
define('DB_HOST', 'localhost:%s'); define('DB_NAME', 'app'); define('DB_USER', 'root'); define('DB_PASSWORD', ''); define('DB_CHARSET', 'utf8mb4');
define('WP_HTTP_BLOCK_EXTERNAL', true); define('WP_ACCESSIBLE_HOSTS', '127.0.0.1'); define('DISABLE_WP_CRON', true); define('AUTOMATIC_UPDATER_DISABLED', true);
$_SERVER['HTTP_HOST'] ??= 'localhost';
define('WP_HOME', 'http://'.$_SERVER['HTTP_HOST']); define('WP_SITEURL', WP_HOME);
$table_prefix = 'wp_';
define('ABSPATH', __DIR__.'/');
require_once ABSPATH.'wp-settings.php';
`
