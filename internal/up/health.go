package up

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"postern/internal/edge"
	"postern/internal/framing"
)

// healthJSON is what GET /_postern/health answers: 200 while requests are served as they should be, 503
// when they are not. "degraded" is a 200: one part is not as its owner wants it, the rest serves.
type healthJSON struct {
	Status  string `json:"status"` // ok, degraded, failing
	Version string `json:"version"`
	Role    Role   `json:"role"`
	// Revision is that of the documents that the edge runs on.
	Revision int64             `json:"revision,omitempty"`
	Checks   map[string]string `json:"checks"` // "ok", or what is wrong
}

const healthPatience = 2 * time.Second

func (n *node) serveHealth(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), healthPatience)
	defer cancel()
	h := healthJSON{Status: "ok", Version: n.c.Version, Role: n.c.Role, Checks: map[string]string{}}
	status := http.StatusOK
	check := func(name string, err error) bool {
		if err == nil {
			h.Checks[name] = "ok"
			return true
		}
		h.Checks[name] = err.Error()
		return false
	}
	if n.edge != nil {
		h.Revision = n.edge.Revision()
		if !check("edge", n.follower.health()) {
			h.Status = "degraded"
		}
	}
	for name, err := range map[string]error{
		"store": n.store.Health(ctx), "accessKeys": n.keys.Health(),
		"s3": n.s3.Health(), "cloudfront": n.cloudfront.Health(), "audit": n.audited.health(),
	} {
		if !check(name, err) {
			h.Status, status = "failing", http.StatusServiceUnavailable
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(h) // the client is gone if this fails
}

// metrics counts what the two faces serve. Label values come from the documents and the tables, never
// from a request, so that their number is bounded.
type metrics struct {
	registry                  *prometheus.Registry
	edgeRequests, apiRequests *prometheus.CounterVec
	edgeBytes                 *prometheus.CounterVec
	edgeSeconds               prometheus.Histogram
	edgeUnreadable            *prometheus.CounterVec
	apiSeconds                *prometheus.HistogramVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		edgeRequests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postern_edge_requests_total", Help: "Requests of viewers, by distribution, status and, if the edge refused, why.",
		}, []string{"distribution", "status", "refusal"}),
		edgeBytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postern_edge_body_bytes_total", Help: "Bytes of bodies sent to viewers.",
		}, []string{"distribution"}),
		edgeSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "postern_edge_request_seconds", Help: "Time from a viewer's request to the last byte of its answer.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 10),
		}),
		edgeUnreadable: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postern_edge_unreadable_total", Help: "Connections refused because their bytes were not one clear HTTP/1 request, by fault.",
		}, []string{"fault"}),
		apiRequests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postern_api_requests_total", Help: "Requests to the AWS-compatible APIs.",
		}, []string{"service", "operation", "status"}),
		apiSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "postern_api_request_seconds", Help: "Time that a request to the AWS-compatible APIs took.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 10),
		}, []string{"service"}),
	}
	m.registry.MustRegister(m.edgeRequests, m.edgeBytes, m.edgeSeconds, m.edgeUnreadable, m.apiRequests, m.apiSeconds,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Served implements edge.Metrics.
func (m *metrics) Served(o edge.Observation) {
	m.edgeRequests.WithLabelValues(o.Distribution, strconv.Itoa(o.Status), o.Refusal).Inc()
	m.edgeBytes.WithLabelValues(o.Distribution).Add(float64(o.Bytes))
	m.edgeSeconds.Observe(o.Duration.Seconds())
}

// unreadable counts what the framing guard refuses, by its closed list of faults.
func (m *metrics) unreadable(_ net.Addr, fault framing.Fault) {
	m.edgeUnreadable.WithLabelValues(fault.String()).Inc()
}

// Request implements awsapi.Metrics.
func (m *metrics) Request(service, operation string, status int, took time.Duration) {
	m.apiRequests.WithLabelValues(service, operation, strconv.Itoa(status)).Inc()
	m.apiSeconds.WithLabelValues(service).Observe(took.Seconds())
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError})
}
