// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
)

// NonRootUser is the user and group of every container, that of distroless' nonroot.
const NonRootUser = 65532

// ProjectorBinary is where the image has the projector.
const ProjectorBinary = "/projector"

// ContainerName is the name of the one container of every pod.
const ContainerName = "projector"

// Default resources of a projector's and an action's container.
const (
	DefaultCPURequest    = "50m"
	DefaultMemoryRequest = "64Mi"
	DefaultMemoryLimit   = "512Mi"
)

// contractVolume is the volume of the contract's ConfigMap.
const contractVolume = "contract"

// spillVolume is the volume behind contract.SpillDir, spillSlack how much larger it is than what is written to it, in bytes.
const (
	spillVolume = "spill"
	spillSlack  = 64 << 20
)

// podInput is what all pods have in common.
type podInput struct {
	Image      string
	PullPolicy corev1.PullPolicy
	Args       []string
	Projector  v1alpha1.ProjectorSpec
	// ContractConfigMap is mounted as contract.ContractPath; empty: none.
	ContractConfigMap string
	// Secrets and ConfigMaps are the names of what is mounted.
	Secrets    []string
	ConfigMaps []string
	Env        []*corev1ac.EnvVarApplyConfiguration
	// SpillBytes is how much the projector may write to contract.SpillDir; 0: nothing.
	SpillBytes int64
}

func podSpec(in podInput) (*corev1ac.PodSpecApplyConfiguration, *corev1ac.ContainerApplyConfiguration, error) {
	resources := in.Projector.Resources
	if resources == nil {
		resources = DefaultResources()
	}
	resourcesAC, err := convert[corev1ac.ResourceRequirementsApplyConfiguration](resources)
	if err != nil {
		return nil, nil, err
	}
	c := corev1ac.Container().
		WithName(ContainerName).
		WithImage(in.Image).
		WithCommand(ProjectorBinary).
		WithArgs(in.Args...).
		WithEnv(in.Env...).
		WithResources(resourcesAC).
		WithTerminationMessagePath(corev1.TerminationMessagePathDefault).
		WithTerminationMessagePolicy(corev1.TerminationMessageReadFile).
		WithSecurityContext(corev1ac.SecurityContext().
			WithRunAsNonRoot(true).
			WithRunAsUser(NonRootUser).
			WithRunAsGroup(NonRootUser).
			WithAllowPrivilegeEscalation(false).
			WithReadOnlyRootFilesystem(true).
			WithCapabilities(corev1ac.Capabilities().WithDrop("ALL")).
			WithSeccompProfile(corev1ac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault)))
	if in.PullPolicy != "" {
		c.WithImagePullPolicy(in.PullPolicy)
	}
	if limit, ok := memoryLimit(resources); ok {
		c.WithEnv(corev1ac.EnvVar().WithName("GOMEMLIMIT").WithValue(limit))
	}
	spec := corev1ac.PodSpec().
		WithAutomountServiceAccountToken(false).
		WithEnableServiceLinks(false).
		WithSecurityContext(corev1ac.PodSecurityContext().
			WithRunAsNonRoot(true).
			WithRunAsUser(NonRootUser).
			WithRunAsGroup(NonRootUser).
			WithFSGroup(NonRootUser).
			WithSeccompProfile(corev1ac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault)))
	mount(spec, c, in)
	if err := schedule(spec, in.Projector); err != nil {
		return nil, nil, err
	}
	return spec, c, nil
}

// mount adds volumes and their mounts. Secrets are mounted whole, so that the
// kubelet renews them when they rotate (a subPath would never change), and
// optional, so that a missing one is named by the projector.
func mount(spec *corev1ac.PodSpecApplyConfiguration, c *corev1ac.ContainerApplyConfiguration, in podInput) {
	if in.ContractConfigMap != "" {
		spec.WithVolumes(corev1ac.Volume().WithName(contractVolume).
			WithConfigMap(corev1ac.ConfigMapVolumeSource().WithName(in.ContractConfigMap)))
		c.WithVolumeMounts(corev1ac.VolumeMount().WithName(contractVolume).
			WithMountPath(ContractDir).WithReadOnly(true))
	}
	if in.SpillBytes > 0 {
		// The projector ends the build before: a pod that exceeds the limit is evicted.
		limit := resource.NewQuantity(in.SpillBytes+spillSlack, resource.BinarySI)
		spec.WithVolumes(corev1ac.Volume().WithName(spillVolume).
			WithEmptyDir(corev1ac.EmptyDirVolumeSource().WithSizeLimit(*limit)))
		c.WithVolumeMounts(corev1ac.VolumeMount().WithName(spillVolume).WithMountPath(contract.SpillDir))
	}
	for _, name := range sortedSet(in.Secrets) {
		volume := Bounded("secret", name)
		spec.WithVolumes(corev1ac.Volume().WithName(volume).
			WithSecret(corev1ac.SecretVolumeSource().WithSecretName(name).WithOptional(true).WithDefaultMode(0o440)))
		c.WithVolumeMounts(corev1ac.VolumeMount().WithName(volume).
			WithMountPath(contract.SecretsDir + "/" + name).WithReadOnly(true))
	}
	for _, name := range sortedSet(in.ConfigMaps) {
		volume := Bounded("configmap", name)
		spec.WithVolumes(corev1ac.Volume().WithName(volume).
			WithConfigMap(corev1ac.ConfigMapVolumeSource().WithName(name).WithOptional(true)))
		c.WithVolumeMounts(corev1ac.VolumeMount().WithName(volume).
			WithMountPath(contract.ConfigMapsDir + "/" + name).WithReadOnly(true))
	}
}

func schedule(spec *corev1ac.PodSpecApplyConfiguration, p v1alpha1.ProjectorSpec) error {
	if len(p.NodeSelector) > 0 {
		spec.WithNodeSelector(plain(p.NodeSelector))
	}
	for i := range p.Tolerations {
		t, err := convert[corev1ac.TolerationApplyConfiguration](&p.Tolerations[i])
		if err != nil {
			return err
		}
		spec.WithTolerations(t)
	}
	if p.Affinity != nil {
		a, err := convert[corev1ac.AffinityApplyConfiguration](p.Affinity)
		if err != nil {
			return err
		}
		spec.WithAffinity(a)
	}
	if p.PriorityClassName != "" {
		spec.WithPriorityClassName(p.PriorityClassName)
	}
	for _, s := range p.ImagePullSecrets {
		spec.WithImagePullSecrets(corev1ac.LocalObjectReference().WithName(s.Name))
	}
	return nil
}

// DefaultResources are those of a container whose spec says nothing.
func DefaultResources() *corev1.ResourceRequirements {
	return &corev1.ResourceRequirements{
		Requests: corev1.ResourceList{
			corev1.ResourceCPU:    resource.MustParse(DefaultCPURequest),
			corev1.ResourceMemory: resource.MustParse(DefaultMemoryRequest),
		},
		Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(DefaultMemoryLimit)},
	}
}

// memoryLimit is the Go runtime's soft limit in bytes: nine tenths of the
// container's, so that the collector works harder before the kernel kills.
func memoryLimit(r *corev1.ResourceRequirements) (string, bool) {
	q, ok := r.Limits[corev1.ResourceMemory]
	if !ok || q.Value() <= 0 {
		return "", false
	}
	return strconv.FormatInt(q.Value()/10*9, 10), true
}

// convert turns a typed API value into its apply-configuration. Both have the
// same JSON form, and the typed ones of pod specs omit what is not set.
func convert[T any](in any) (*T, error) {
	data, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	out := new(T)
	if err := json.Unmarshal(data, out); err != nil {
		return nil, err
	}
	return out, nil
}

// plain gives a map of named strings as one of strings.
func plain[V ~string](in map[string]V) map[string]string {
	out := make(map[string]string, len(in))
	for k, v := range in {
		out[k] = string(v)
	}
	return out
}

// overlay is base with the entries of win put over it.
func overlay(base, win map[string]string) map[string]string {
	out := maps.Clone(base)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, win)
	return out
}

func sortedSet(in []string) []string {
	out := slices.Clone(in)
	slices.Sort(out)
	return slices.Compact(out)
}
