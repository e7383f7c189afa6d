package e2e

import "testing"

func TestMistakesWarnOfDirectivesThatCutOffSite(t *testing.T) {
	t.Parallel()
	mistaken{
		"a hook beside a backend": {"\tparker /p ch\n\tparker_publish\n\treverse_proxy localhost:1", []string{"3: directives after parker_publish are never reached … so none reaches reverse_proxy ("}},
		"a hook beside handles": {"\thandle /a {\n\t\trespond a\n\t}\n\thandle {\n\t\trespond b\n\t}\n\tparker_publish {\n\t\ttoken x\n\t}",
			[]string{"8: directives after parker_publish are never reached … handle_path /publish/* { parker_publish }"}},
		"a hook in a handle":        {"\thandle /a/* {\n\t\tparker_publish\n\t\tfile_server\n\t}", []string{"3: directives after parker_publish are never reached … file_server ("}},
		"a hook in a route":         {"\troute {\n\t\tparker_publish\n\t\tparker ch\n\t}", []string{"3: directives after parker_publish are never reached … parker ("}},
		"a status page":             {"\tparker_status\n\tfile_server", []string{"2: directives after parker_status are never reached"}},
		"a status page and a hook":  {"\tparker_publish\n\tparker_status", []string{"3: directives after parker_status are never reached … parker_publish ("}},
		"a hook alone":              {"\tlog\n\tbind 127.0.0.1\n\theader X-A b\n\tencode\n\tparker_publish", nil},
		"a hook with a matcher":     {"\treverse_proxy localhost:1\n\tparker_publish /hook/* {\n\t\ttoken x\n\t}", nil},
		"a hook with a named one":   {"\t@in remote_ip 127.0.0.1\n\tparker_publish @in\n\treverse_proxy localhost:1", nil},
		"a hook in a block":         {"\thandle_path /hook/* {\n\t\tparker_publish\n\t}\n\treverse_proxy localhost:1", nil},
		"a hook with its own poll":  {"\tparker /events {\n\t\thold messages\n\t}\n\tparker_publish", nil},
		"a hook at the end":         {"\troute {\n\t\trespond /a b\n\t\tparker_publish\n\t}", nil},
		"an order of its own":       {"{\n\torder parker_publish last\n}\nhttp://a.example {\n\tparker_publish\n\treverse_proxy /a localhost:1\n}", nil},
		"a hook's site and another": {"http://a.example {\n\tparker_publish\n}\nhttp://b.example {\n\treverse_proxy localhost:1\n}", nil},
	}.check(t)
}

func TestMistakesWarnOfUnreachableDirectives(t *testing.T) {
	t.Parallel()
	mistaken{
		"behind respond":           {"\troute {\n\t\trespond hello\n\t\tparker /p ch\n\t}", []string{"4: parker is never reached … respond ("}},
		"behind a file server":     {"\troute /a/* {\n\t\tfile_server browse\n\t\tparker_notify ch\n\t\tparker ch\n\t}", []string{"4: parker_notify is never reached … file_server (", "5: parker is never reached"}},
		"behind a proxy":           {"\troute {\n\t\treverse_proxy localhost:1 {\n\t\t\tflush_interval -1\n\t\t}\n\t\thandle /p {\n\t\t\tparker ch\n\t\t}\n\t}", []string{"7: parker is never reached … reverse_proxy ("}},
		"behind a redirection":     {"\tredir https://b.example{uri}\n\tparker /p ch", []string{"3: parker is never reached … redir ("}},
		"behind a block":           {"\troute {\n\t\thandle {\n\t\t\terror 404\n\t\t}\n\t\tparker ch\n\t}", []string{"6: parker is never reached … handle ("}},
		"behind a route":           {"\troute {\n\t\troute {\n\t\t\tabort\n\t\t}\n\t\tparker_publish\n\t}", []string{"6: parker_publish is never reached … route ("}},
		"in front":                 {"\troute {\n\t\tparker ch\n\t\trespond hello\n\t}", nil},
		"sorted by Caddy":          {"\trespond hello\n\tparker ch", nil},
		"behind a matcher":         {"\troute {\n\t\trespond /a hello\n\t\tredir /b /c\n\t\t@d path /d\n\t\tfile_server @d\n\t\tparker ch\n\t}", nil},
		"behind some redirections": {"\tredir /a https://b.example\n\tredir /c /d permanent\n\tparker ch\n\tfile_server", nil},
		"behind early hints":       {"\troute {\n\t\trespond 103\n\t\trespond hello {vars.status}\n\t\tparker ch\n\t}", nil},
		"behind pass_thru":         {"\troute {\n\t\tfile_server {\n\t\t\tpass_thru\n\t\t}\n\t\tparker ch\n\t}", nil},
		"behind forward_auth":      {"\troute {\n\t\tforward_auth localhost:1 {\n\t\t\turi /auth\n\t\t}\n\t\tparker ch\n\t}", nil},
		"behind handle_response":   {"\troute {\n\t\treverse_proxy localhost:1 {\n\t\t\thandle_response {\n\t\t\t\theader X-A b\n\t\t\t}\n\t\t}\n\t\tparker ch\n\t}", nil},
		"behind some blocks":       {"\troute {\n\t\thandle /a {\n\t\t\theader X-A b\n\t\t}\n\t\thandle {\n\t\t\trespond hello\n\t\t}\n\t\tparker ch\n\t}", nil},
		"behind what may pass on":  {"\troute {\n\t\ttry_files {path} /index.html\n\t\tphp_fastcgi localhost:1\n\t\tencode\n\t\tparker ch\n\t}", nil},
		"in another block":         {"\thandle /a {\n\t\trespond hello\n\t}\n\thandle /b {\n\t\tparker ch\n\t\trespond hello\n\t}\n\thandle {\n\t\trespond hello\n\t}", nil},
		"in a block for errors":    {"\troute {\n\t\trespond hello\n\t}\n\thandle_errors {\n\t\tparker ch\n\t\trespond sorry\n\t}", nil},
	}.check(t)
}
