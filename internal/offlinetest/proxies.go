package offlinetest

// NoProxies are settings by which everything that would ask the network asks a proxy that is not there.
func NoProxies() []string {
	return []string{"HTTP_PROXY=http://127.0.0.1:1", "HTTPS_PROXY=http://127.0.0.1:1", "http_proxy=http://127.0.0.1:1", "https_proxy=http://127.0.0.1:1", "NO_PROXY=", "no_proxy="}
}
