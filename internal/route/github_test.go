package route

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
)

// githubAPI is a table of the size and shape of GitHub's REST API, less the
// pairs that conflict by the rules of ServeMux.
var githubAPI = strings.Fields(strings.ReplaceAll(`
GET~/events GET~/feeds GET~/emojis GET~/meta GET~/rate_limit GET~/zen GET~/octocat GET~/versions
GET~/gitignore/templates GET~/gitignore/templates/{name} GET~/licenses GET~/licenses/{license}
GET~/codes_of_conduct GET~/codes_of_conduct/{key} POST~/markdown POST~/markdown/raw
GET~/app GET~/app/installations GET~/app/installations/{installation} DELETE~/app/installations/{installation}
POST~/app/installations/{installation}/access_tokens POST~/app-manifests/{code}/conversions
GET~/applications/{client}/token POST~/applications/{client}/token PATCH~/applications/{client}/token DELETE~/applications/{client}/token
DELETE~/applications/{client}/grant GET~/apps/{slug} GET~/installation/repositories DELETE~/installation/token
GET~/notifications PUT~/notifications GET~/notifications/threads/{thread} PATCH~/notifications/threads/{thread}
GET~/notifications/threads/{thread}/subscription PUT~/notifications/threads/{thread}/subscription DELETE~/notifications/threads/{thread}/subscription
GET~/gists POST~/gists GET~/gists/public GET~/gists/starred GET~/gists/{gist} PATCH~/gists/{gist} DELETE~/gists/{gist}
GET~/gists/{gist}/comments POST~/gists/{gist}/comments GET~/gists/{gist}/comments/{comment} PATCH~/gists/{gist}/comments/{comment} DELETE~/gists/{gist}/comments/{comment}
GET~/gists/{gist}/commits GET~/gists/{gist}/forks POST~/gists/{gist}/forks GET~/gists/{gist}/star PUT~/gists/{gist}/star DELETE~/gists/{gist}/star
GET~/issues GET~/organizations GET~/orgs/{org} PATCH~/orgs/{org} DELETE~/orgs/{org}
GET~/orgs/{org}/events GET~/orgs/{org}/hooks POST~/orgs/{org}/hooks GET~/orgs/{org}/hooks/{hook} PATCH~/orgs/{org}/hooks/{hook} DELETE~/orgs/{org}/hooks/{hook} POST~/orgs/{org}/hooks/{hook}/pings
GET~/orgs/{org}/issues GET~/orgs/{org}/members GET~/orgs/{org}/members/{user} DELETE~/orgs/{org}/members/{user}
GET~/orgs/{org}/memberships/{user} PUT~/orgs/{org}/memberships/{user} DELETE~/orgs/{org}/memberships/{user}
GET~/orgs/{org}/outside_collaborators PUT~/orgs/{org}/outside_collaborators/{user} DELETE~/orgs/{org}/outside_collaborators/{user}
GET~/orgs/{org}/public_members GET~/orgs/{org}/public_members/{user} PUT~/orgs/{org}/public_members/{user} DELETE~/orgs/{org}/public_members/{user}
GET~/orgs/{org}/repos POST~/orgs/{org}/repos GET~/orgs/{org}/teams POST~/orgs/{org}/teams GET~/orgs/{org}/teams/{team} PATCH~/orgs/{org}/teams/{team} DELETE~/orgs/{org}/teams/{team}
GET~/repos/{owner}/{repo} PATCH~/repos/{owner}/{repo} DELETE~/repos/{owner}/{repo} GET~/repositories
GET~/repos/{owner}/{repo}/actions/artifacts GET~/repos/{owner}/{repo}/actions/artifacts/{artifact} GET~/repos/{owner}/{repo}/actions/artifacts/{artifact}/{format}
GET~/repos/{owner}/{repo}/actions/runs GET~/repos/{owner}/{repo}/actions/runs/{run} POST~/repos/{owner}/{repo}/actions/runs/{run}/cancel GET~/repos/{owner}/{repo}/actions/runs/{run}/jobs
GET~/repos/{owner}/{repo}/assignees GET~/repos/{owner}/{repo}/assignees/{user} GET~/repos/{owner}/{repo}/branches GET~/repos/{owner}/{repo}/branches/{branch}
GET~/repos/{owner}/{repo}/branches/{branch}/protection PUT~/repos/{owner}/{repo}/branches/{branch}/protection DELETE~/repos/{owner}/{repo}/branches/{branch}/protection
POST~/repos/{owner}/{repo}/check-runs GET~/repos/{owner}/{repo}/check-runs/{check} PATCH~/repos/{owner}/{repo}/check-runs/{check} GET~/repos/{owner}/{repo}/check-runs/{check}/annotations
GET~/repos/{owner}/{repo}/collaborators GET~/repos/{owner}/{repo}/collaborators/{user} PUT~/repos/{owner}/{repo}/collaborators/{user} DELETE~/repos/{owner}/{repo}/collaborators/{user}
GET~/repos/{owner}/{repo}/comments GET~/repos/{owner}/{repo}/comments/{comment} PATCH~/repos/{owner}/{repo}/comments/{comment} DELETE~/repos/{owner}/{repo}/comments/{comment}
GET~/repos/{owner}/{repo}/commits GET~/repos/{owner}/{repo}/commits/{ref} GET~/repos/{owner}/{repo}/commits/{ref}/status GET~/repos/{owner}/{repo}/compare/{basehead}
GET~/repos/{owner}/{repo}/contents/{path...} PUT~/repos/{owner}/{repo}/contents/{path...} DELETE~/repos/{owner}/{repo}/contents/{path...}
GET~/repos/{owner}/{repo}/contributors GET~/repos/{owner}/{repo}/deployments POST~/repos/{owner}/{repo}/deployments GET~/repos/{owner}/{repo}/events
GET~/repos/{owner}/{repo}/forks POST~/repos/{owner}/{repo}/forks POST~/repos/{owner}/{repo}/git/blobs GET~/repos/{owner}/{repo}/git/blobs/{sha}
POST~/repos/{owner}/{repo}/git/commits GET~/repos/{owner}/{repo}/git/commits/{sha} POST~/repos/{owner}/{repo}/git/refs GET~/repos/{owner}/{repo}/git/ref/{ref...}
PATCH~/repos/{owner}/{repo}/git/refs/{ref...} DELETE~/repos/{owner}/{repo}/git/refs/{ref...} GET~/repos/{owner}/{repo}/git/trees/{sha} POST~/repos/{owner}/{repo}/git/trees
GET~/repos/{owner}/{repo}/hooks POST~/repos/{owner}/{repo}/hooks GET~/repos/{owner}/{repo}/hooks/{hook} PATCH~/repos/{owner}/{repo}/hooks/{hook} DELETE~/repos/{owner}/{repo}/hooks/{hook} POST~/repos/{owner}/{repo}/hooks/{hook}/tests
GET~/repos/{owner}/{repo}/issues POST~/repos/{owner}/{repo}/issues GET~/repos/{owner}/{repo}/issues/comments GET~/repos/{owner}/{repo}/issues/events
GET~/repos/{owner}/{repo}/issues/{issue} PATCH~/repos/{owner}/{repo}/issues/{issue} GET~/repos/{owner}/{repo}/issues/{issue}/comments POST~/repos/{owner}/{repo}/issues/{issue}/comments
GET~/repos/{owner}/{repo}/issues/{issue}/labels POST~/repos/{owner}/{repo}/issues/{issue}/labels PUT~/repos/{owner}/{repo}/issues/{issue}/labels DELETE~/repos/{owner}/{repo}/issues/{issue}/labels/{label}
GET~/repos/{owner}/{repo}/keys POST~/repos/{owner}/{repo}/keys GET~/repos/{owner}/{repo}/keys/{key} DELETE~/repos/{owner}/{repo}/keys/{key} GET~/repos/{owner}/{repo}/labels POST~/repos/{owner}/{repo}/labels
GET~/repos/{owner}/{repo}/languages GET~/repos/{owner}/{repo}/license POST~/repos/{owner}/{repo}/merges GET~/repos/{owner}/{repo}/milestones GET~/repos/{owner}/{repo}/milestones/{milestone}
GET~/repos/{owner}/{repo}/pulls POST~/repos/{owner}/{repo}/pulls GET~/repos/{owner}/{repo}/pulls/{pull} PATCH~/repos/{owner}/{repo}/pulls/{pull} GET~/repos/{owner}/{repo}/pulls/{pull}/commits GET~/repos/{owner}/{repo}/pulls/{pull}/files
GET~/repos/{owner}/{repo}/pulls/{pull}/merge PUT~/repos/{owner}/{repo}/pulls/{pull}/merge GET~/repos/{owner}/{repo}/pulls/{pull}/comments POST~/repos/{owner}/{repo}/pulls/{pull}/comments
GET~/repos/{owner}/{repo}/readme GET~/repos/{owner}/{repo}/releases POST~/repos/{owner}/{repo}/releases GET~/repos/{owner}/{repo}/releases/latest GET~/repos/{owner}/{repo}/releases/{release} GET~/repos/{owner}/{repo}/releases/{release}/assets
GET~/repos/{owner}/{repo}/stargazers GET~/repos/{owner}/{repo}/stats/contributors GET~/repos/{owner}/{repo}/stats/participation GET~/repos/{owner}/{repo}/subscribers GET~/repos/{owner}/{repo}/tags GET~/repos/{owner}/{repo}/teams GET~/repos/{owner}/{repo}/topics
GET~/search/code GET~/search/commits GET~/search/issues GET~/search/labels GET~/search/repositories GET~/search/topics GET~/search/users
GET~/user PATCH~/user GET~/user/emails POST~/user/emails DELETE~/user/emails GET~/user/followers GET~/user/following GET~/user/following/{user} PUT~/user/following/{user} DELETE~/user/following/{user}
GET~/user/issues GET~/user/keys POST~/user/keys GET~/user/keys/{key} DELETE~/user/keys/{key} GET~/user/orgs GET~/user/repos POST~/user/repos GET~/user/starred GET~/user/starred/{owner}/{repo} PUT~/user/starred/{owner}/{repo} DELETE~/user/starred/{owner}/{repo}
GET~/users GET~/users/{user} GET~/users/{user}/events GET~/users/{user}/followers GET~/users/{user}/following GET~/users/{user}/gists GET~/users/{user}/keys GET~/users/{user}/orgs GET~/users/{user}/repos GET~/users/{user}/starred
`, "\n", " "))

func init() {
	for i, p := range githubAPI {
		githubAPI[i] = strings.ReplaceAll(p, "~", " ")
	}
}

// githubPath returns a path that the path of a pattern of githubAPI matches.
func githubPath(pattern string) string {
	segs := strings.Split(pattern, "/")
	for i, s := range segs {
		if strings.HasSuffix(s, "...}") {
			segs[i] = "docs/guide/index.md"
		} else if strings.HasPrefix(s, "{") {
			segs[i] = "some-" + s[1:len(s)-1]
		}
	}
	return strings.Join(segs, "/")
}

// TestServeMuxGitHub compares a large table with a ServeMux: each path with
// each method, and with a segment more, less or changed.
func TestServeMuxGitHub(t *testing.T) {
	var d pair
	for _, p := range githubAPI {
		d.add(t, p)
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, p := range githubAPI {
		_, pathPattern, _ := strings.Cut(p, " ")
		path := githubPath(pathPattern)
		segs := strings.Split(path, "/")
		segs[rnd.IntN(len(segs))] = "issues"
		for _, path := range []string{path, path + "/", path + "/x", path[:strings.LastIndexByte(path, '/')], strings.Join(segs, "/")} {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT"} {
				r := request{method, "api.github.com", path, ""}
				if r.path != "" {
					d.ask(t, r)
				}
			}
		}
	}
}

// TestBranchyTable compares nodes with few, as many as are scanned, and more
// children with a ServeMux.
func TestBranchyTable(t *testing.T) {
	for n := range 3 * maxScan {
		var d pair
		d.add(t, "/{x}")
		d.add(t, "/{x}/{rest...}")
		for i := range n {
			d.add(t, fmt.Sprintf("/k%d", i))
			d.add(t, fmt.Sprintf("/k%d/z", i))
		}
		for i := range n + 1 {
			d.ask(t, request{"GET", "", fmt.Sprintf("/k%d", i), ""})
			d.ask(t, request{"GET", "", fmt.Sprintf("/%%6b%d", i), ""})
			d.ask(t, request{"GET", "", fmt.Sprintf("/k%d/z", i), ""})
			d.ask(t, request{"GET", "", fmt.Sprintf("/k%d/y", i), ""})
		}
	}
}

// benchPaths are the requests of the benchmarks and of TestAllocs.
var benchPaths = []struct {
	name, method, path string
	status             int
}{
	{"Literal", "GET", "/notifications", 200},
	{"LiteralDeep", "GET", "/gitignore/templates", 200},
	{"LiteralHead", "HEAD", "/user/starred", 200},
	{"Param1", "GET", "/users/octocat", 200},
	{"Param2", "GET", "/repos/golang/go", 200},
	{"Param3", "GET", "/repos/golang/go/pulls/12345/comments", 200},
	{"Backtrack", "GET", "/repos/golang/go/releases/latest/assets", 200},
	{"Rest", "GET", "/repos/golang/go/contents/src/net/http/server.go", 200},
	{"Escaped", "GET", "/users/octo%20cat", 200},
	{"NotFound", "GET", "/repos/golang/go/nothing/here", 404},
	{"NotAllowed", "PUT", "/users/octocat", 405},
}

func newGitHubTable(tb testing.TB) *Table[int] {
	var t Table[int]
	for i, p := range githubAPI {
		if err := t.Add(p, i); err != nil {
			tb.Fatal(err)
		}
	}
	return &t
}

// TestAllocs holds the package to its promise.
func TestAllocs(t *testing.T) {
	table := newGitHubTable(t)
	withHosts := newGitHubTable(t)
	if err := withHosts.Add("example.com/{a}/{b}", -1); err != nil {
		t.Fatal(err)
	}
	for _, b := range benchPaths {
		if b.name == "Escaped" || b.name == "NotAllowed" {
			continue // rare
		}
		for _, table := range []*Table[int]{table, withHosts} {
			for _, host := range []string{"", "example.com", "example.com:443", "[::1]:443", "other.com:80:80"} {
				var m Match[int]
				table.Match(&m, "GET", "", "/a/b/c/d/e/f/g/h", "") // nothing, for nothing
				if n := testing.AllocsPerRun(100, func() { table.Match(&m, b.method, host, b.path, "q=1") }); n != 0 {
					t.Errorf("%s %s at %q: %v allocations", b.method, b.path, host, n)
				}
			}
		}
	}
}

// TestAllocsOfNewMatch: one allocation makes a Match ready for all of a table.
func TestAllocsOfNewMatch(t *testing.T) {
	table := newGitHubTable(t)
	n := testing.AllocsPerRun(100, func() {
		var m Match[int]
		for _, b := range benchPaths {
			if b.status == 200 && b.name != "Escaped" {
				table.Match(&m, b.method, "", b.path, "")
			}
		}
	})
	if n != 1 {
		t.Errorf("%v allocations, want 1", n)
	}
}

func BenchmarkTable(b *testing.B) {
	table := newGitHubTable(b)
	for _, bb := range benchPaths {
		b.Run(bb.name, func(b *testing.B) {
			var m Match[int]
			b.ReportAllocs()
			for b.Loop() {
				table.Match(&m, bb.method, "api.github.com", bb.path, "")
			}
			if m.status() != bb.status {
				b.Fatalf("status %d, want %d", m.status(), bb.status)
			}
		})
	}
}

// BenchmarkServeMux measures ServeMux.Handler, which looks up as ServeHTTP
// does and calls nothing.
func BenchmarkServeMux(b *testing.B) {
	mux := http.NewServeMux()
	for _, p := range githubAPI {
		mux.HandleFunc(p, func(http.ResponseWriter, *http.Request) {})
	}
	for _, bb := range benchPaths {
		b.Run(bb.name, func(b *testing.B) {
			r, err := http.NewRequest(bb.method, bb.path, nil)
			if err != nil {
				b.Fatal(err)
			}
			r.Host = "api.github.com"
			b.ReportAllocs()
			for b.Loop() {
				mux.Handler(r)
			}
		})
	}
}

// BenchmarkChildren measures the two ways of finding a child, to choose maxScan.
func BenchmarkChildren(b *testing.B) {
	words := strings.Fields("assignees branches comments commits contents deployments events forks hooks issues keys labels languages milestones pulls releases stargazers statuses subscribers tags teams topics traffic transfer")
	for _, n := range []int{2, 4, 8, 12, 16, 24} {
		scan := children{texts: words[:n], nodes: make([]*node, n)}
		index := children{index: make(map[string]*node)}
		for _, w := range words[:n] {
			index.index[w] = new(node)
		}
		for name, c := range map[string]*children{"scan": &scan, "index": &index} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				i := 0
				for b.Loop() {
					c.find(words[i])
					if i++; i == n {
						i = 0
					}
				}
			})
		}
	}
}
