// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // the ways to log in that kubectl has
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
)

// Flags say which cluster and namespace, as kubectl's do.
type Flags struct {
	Kubeconfig, Context, Namespace string
}

// Add adds the flags to a command.
func (f *Flags) Add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.Kubeconfig, "kubeconfig", "", "kubeconfig file (default: $KUBECONFIG, ~/.kube/config)")
	cmd.Flags().StringVar(&f.Context, "context", "", "context of the kubeconfig (default: its current one)")
	cmd.Flags().StringVarP(&f.Namespace, "namespace", "n", "", "namespace (default: the context's)")
}

// StatusFunc asks a projector's pod how it is.
type StatusFunc func(ctx context.Context, namespace, pod string) (*contract.ProjectorStatus, error)

// Cluster is one namespace of a cluster.
type Cluster struct {
	Namespace string
	client    client.Client
	status    StatusFunc
}

// New gives a cluster behind a client, for tests and for Connect.
func New(c client.Client, namespace string, status StatusFunc) *Cluster {
	return &Cluster{Namespace: namespace, client: c, status: status}
}

// Scheme knows the kinds that are read.
func Scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, appsv1.AddToScheme, corev1.AddToScheme} {
		if err := add(s); err != nil {
			panic(err) // only two types of one name can fail
		}
	}
	return s
}

// Connect gives the cluster that the flags and the kubeconfig name. It asks nothing of it yet.
func Connect(f *Flags) (*Cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.Kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: f.Context})
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("no cluster: %w", err)
	}
	namespace := f.Namespace
	if namespace == "" {
		if namespace, _, err = loader.Namespace(); err != nil {
			return nil, err
		}
	}
	c, err := client.New(config, client.Options{Scheme: Scheme()})
	if err != nil {
		return nil, err
	}
	core, err := corev1client.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return New(c, namespace, proxied(core)), nil
}

// proxied asks through the API server, which needs the right to get pods/proxy.
func proxied(core corev1client.CoreV1Interface) StatusFunc {
	return func(ctx context.Context, namespace, pod string) (*contract.ProjectorStatus, error) {
		data, err := core.Pods(namespace).ProxyGet("http", pod, strconv.Itoa(contract.Port), "status", nil).DoRaw(ctx)
		if err != nil {
			return nil, err
		}
		s := new(contract.ProjectorStatus)
		if err := json.Unmarshal(data, s); err != nil {
			return nil, fmt.Errorf("pod %s: the answer is not a projector's status", pod)
		}
		return s, nil
	}
}
