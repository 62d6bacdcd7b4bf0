// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Command manager is the operator: it brings EventBrokers, EventTopics,
// ReadStores and Projections to running projectors.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/projectionist-dev/projectionist/controllers"
	"github.com/projectionist-dev/projectionist/controllers/progress"
)

// leaseName is the Lease by which one of several managers leads.
const leaseName = "projectionist.cqrs.projectionist.dev"

// settings are the flags.
type settings struct {
	namespaces     namespaces
	image          string
	pullPolicy     string
	clusterID      string
	metricsAddr    string
	secureMetrics  bool
	probeAddr      string
	leaderElect    bool
	networkPolicy  bool
	leaseNamespace string
}

// namespaces is a flag that may be repeated, or hold several names with commas.
type namespaces []string

func (n *namespaces) String() string { return strings.Join(*n, ",") }

func (n *namespaces) Set(s string) error {
	for name := range strings.SplitSeq(s, ",") {
		if name = strings.TrimSpace(name); name != "" {
			*n = append(*n, name)
		}
	}
	return nil
}

func (s *settings) register(f *flag.FlagSet) {
	f.Var(&s.namespaces, "watch-namespace", "namespace to work in; may be repeated. Default: all namespaces")
	f.StringVar(&s.image, "projector-image", os.Getenv("PROJECTOR_IMAGE"), "image of projectors and Jobs; default from PROJECTOR_IMAGE")
	f.StringVar(&s.pullPolicy, "projector-image-pull-policy", os.Getenv("PROJECTOR_IMAGE_PULL_POLICY"), "Always, IfNotPresent or Never; default: the cluster's")
	f.StringVar(&s.clusterID, "cluster-id", "", "tells clusters that share a read store apart; must never change. Default: the UID of the namespace kube-system, or with --watch-namespace of the operator's own")
	f.StringVar(&s.metricsAddr, "metrics-bind-address", "0", "address of /metrics, for example :8443; 0 turns it off")
	f.BoolVar(&s.secureMetrics, "metrics-secure", true, "serve /metrics over TLS to callers that the API server authenticates and authorises")
	f.StringVar(&s.probeAddr, "health-probe-bind-address", ":8081", "address of /healthz and /readyz")
	f.BoolVar(&s.leaderElect, "leader-elect", false, "let one of several managers lead")
	f.StringVar(&s.leaseNamespace, "leader-election-namespace", os.Getenv("POD_NAMESPACE"), "namespace of the Lease; default: the operator's own")
	f.BoolVar(&s.networkPolicy, "network-policies", false, "make a NetworkPolicy (ingress only) for each projection")
}

func main() {
	var s settings
	s.register(flag.CommandLine)
	logging := zap.Options{}
	logging.BindFlags(flag.CommandLine)
	flag.Parse()
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&logging)))
	if err := run(ctrl.SetupSignalHandler(), s); err != nil {
		ctrl.Log.Error(err, "the operator ends")
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings) error {
	if s.image == "" {
		return errors.New("no projector image: set --projector-image or PROJECTOR_IMAGE")
	}
	switch corev1.PullPolicy(s.pullPolicy) {
	case "", corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever:
	default:
		return fmt.Errorf("--projector-image-pull-policy is %q: it must be Always, IfNotPresent or Never", s.pullPolicy)
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	options, err := managerOptions(s)
	if err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(config, options)
	if err != nil {
		return err
	}
	id, err := clusterID(ctx, config, s)
	if err != nil {
		return err
	}
	if err := controllers.Setup(ctx, mgr, controllers.Options{
		ProjectorImage: s.image, PullPolicy: corev1.PullPolicy(s.pullPolicy), ClusterID: id, NetworkPolicy: s.networkPolicy,
	}, progress.NewHTTP()); err != nil {
		return err
	}
	if err := mgr.AddHealthzCheck("healthz", healthz.Ping); err != nil {
		return err
	}
	if err := mgr.AddReadyzCheck("readyz", healthz.Ping); err != nil {
		return err
	}
	ctrl.Log.Info("starting", "clusterID", id, "namespaces", s.namespaces.String(), "projectorImage", s.image)
	return mgr.Start(ctx)
}

func managerOptions(s settings) (ctrl.Options, error) {
	scheme, err := controllers.NewScheme()
	if err != nil {
		return ctrl.Options{}, err
	}
	o := ctrl.Options{
		Scheme: scheme,
		Cache:  cache.Options{ByObject: controllers.CacheByObject(), DefaultTransform: cache.TransformStripManagedFields()},
		Metrics: metricsserver.Options{
			BindAddress: s.metricsAddr, SecureServing: s.secureMetrics,
			// HTTP/2 brings nothing here and has had resets that cost the server dear.
			TLSOpts: []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }},
		},
		HealthProbeBindAddress:  s.probeAddr,
		LeaderElection:          s.leaderElect,
		LeaderElectionID:        leaseName,
		LeaderElectionNamespace: s.leaseNamespace,
		// The process ends when the manager does, so the Lease can be given up at once.
		LeaderElectionReleaseOnCancel: true,
	}
	if s.secureMetrics {
		o.Metrics.FilterProvider = filters.WithAuthenticationAndAuthorization
	}
	if len(s.namespaces) > 0 {
		o.Cache.DefaultNamespaces = map[string]cache.Config{}
		for _, n := range s.namespaces {
			o.Cache.DefaultNamespaces[n] = cache.Config{}
		}
	}
	return o, nil
}

// clusterID is the setting, else the UID of a namespace that lives as long as the cluster.
func clusterID(ctx context.Context, config *rest.Config, s settings) (string, error) {
	if s.clusterID != "" {
		return s.clusterID, nil
	}
	name := "kube-system"
	if len(s.namespaces) > 0 {
		if name = os.Getenv("POD_NAMESPACE"); name == "" {
			return "", errors.New("no cluster identity: set --cluster-id, or POD_NAMESPACE to the operator's namespace")
		}
	}
	c, err := client.New(config, client.Options{})
	if err != nil {
		return "", err
	}
	ns := &corev1.Namespace{}
	if err := c.Get(ctx, client.ObjectKey{Name: name}, ns); err != nil {
		return "", fmt.Errorf("the UID of namespace %s, which identifies the cluster, cannot be read (or set --cluster-id): %w", name, err)
	}
	return string(ns.UID), nil
}
