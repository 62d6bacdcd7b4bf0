// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"encoding/json"
	"path"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
)

// ContractDir is where the contract's ConfigMap is mounted, ContractKey its key.
var (
	ContractDir = path.Dir(contract.ContractPath)
	ContractKey = path.Base(contract.ContractPath)
)

const (
	terminationGraceSeconds = 30
	revisionHistoryLimit    = 2
	// minReadySeconds keeps a roll-out from going on over pods that end at once.
	minReadySeconds = 2
)

// Owner is the resource that an object is made for and deleted with.
type Owner struct {
	APIVersion, Kind, Namespace, Name, UID string
}

func (o Owner) reference() *metav1ac.OwnerReferenceApplyConfiguration {
	return metav1ac.OwnerReference().WithAPIVersion(o.APIVersion).WithKind(o.Kind).
		WithName(o.Name).WithUID(typesUID(o.UID)).WithController(true)
}

// Projector is what the objects of one revision are built from.
type Projector struct {
	Owner      Owner
	Projection string
	Contract   *contract.Contract
	// ContractJSON and ContractDigest come from EncodeContract.
	ContractJSON   []byte
	ContractDigest string
	Image          string
	PullPolicy     corev1.PullPolicy
	// Replicas is how many pods run, after suspend and the partition cap.
	Replicas int32
	Spec     v1alpha1.ProjectorSpec
}

// EncodeContract gives the canonical JSON of a contract and its digest of ten hex digits.
func EncodeContract(c *contract.Contract) ([]byte, string, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return nil, "", err
	}
	return data, Digest(10, string(data)), nil
}

// ContractConfigMapName is the name of the ConfigMap with this exact contract.
func (p Projector) ContractConfigMapName() string {
	return ContractName(p.Projection, p.Contract.Revision, p.ContractDigest)
}

// ContractConfigMap holds the contract. It is immutable: another contract is another ConfigMap.
func (p Projector) ContractConfigMap() *corev1ac.ConfigMapApplyConfiguration {
	return corev1ac.ConfigMap(p.ContractConfigMapName(), p.Owner.Namespace).
		WithLabels(ProjectionLabels(p.Projection, p.Contract.Revision)).
		WithOwnerReferences(p.Owner.reference()).
		WithImmutable(true).
		WithData(map[string]string{ContractKey: string(p.ContractJSON)})
}

// ServiceAccountName is the account that the pods run as.
func (p Projector) ServiceAccountName() string {
	if p.Spec.ServiceAccountName != "" {
		return p.Spec.ServiceAccountName
	}
	return Bounded(p.Projection, "projector")
}

// ServiceAccount has no rights and no mounted token.
func (p Projector) ServiceAccount() *corev1ac.ServiceAccountApplyConfiguration {
	return corev1ac.ServiceAccount(p.ServiceAccountName(), p.Owner.Namespace).
		WithLabels(ProjectionLabels(p.Projection, "")).
		WithOwnerReferences(p.Owner.reference()).
		WithAutomountServiceAccountToken(false)
}

// Deployment runs the projectors of the revision.
func (p Projector) Deployment() (*appsv1ac.DeploymentApplyConfiguration, error) {
	mounts := Mounts{}.Add(&p.Contract.Broker, &p.Contract.Store, false)
	var spill int64
	if !p.Contract.Build.Live() {
		spill = p.Contract.Build.Spill()
	}
	spec, c, err := podSpec(podInput{
		Image: p.Image, PullPolicy: p.PullPolicy, Args: []string{"run"}, Projector: p.Spec,
		ContractConfigMap: p.ContractConfigMapName(), Secrets: mounts.Secrets, ConfigMaps: mounts.ConfigMaps, SpillBytes: spill,
		Env: []*corev1ac.EnvVarApplyConfiguration{
			corev1ac.EnvVar().WithName("POD_NAME").WithValueFrom(corev1ac.EnvVarSource().
				WithFieldRef(corev1ac.ObjectFieldSelector().WithAPIVersion("v1").WithFieldPath("metadata.name"))),
		},
	})
	if err != nil {
		return nil, err
	}
	c.WithPorts(corev1ac.ContainerPort().WithName(contract.PortName).
		WithContainerPort(contract.Port).WithProtocol(corev1.ProtocolTCP)).
		WithLivenessProbe(httpProbe("/healthz").WithInitialDelaySeconds(5).WithPeriodSeconds(10).
			WithTimeoutSeconds(5).WithFailureThreshold(6)).
		WithReadinessProbe(httpProbe("/readyz").WithPeriodSeconds(5).WithTimeoutSeconds(2).WithFailureThreshold(3))
	selector := ProjectorSelector(p.Projection, p.Contract.Revision)
	spec.WithContainers(c).
		WithServiceAccountName(p.ServiceAccountName()).
		WithTerminationGracePeriodSeconds(terminationGraceSeconds)
	if p.Spec.Affinity == nil {
		spec.WithTopologySpreadConstraints(corev1ac.TopologySpreadConstraint().
			WithMaxSkew(1).WithTopologyKey(corev1.LabelHostname).WithWhenUnsatisfiable(corev1.ScheduleAnyway).
			WithLabelSelector(metav1ac.LabelSelector().WithMatchLabels(selector)))
	}
	labels := ProjectionLabels(p.Projection, p.Contract.Revision)
	template := corev1ac.PodTemplateSpec().
		WithLabels(overlay(plain(p.Spec.Labels), labels)).
		WithAnnotations(overlay(plain(p.Spec.Annotations), map[string]string{AnnotationContractHash: p.ContractDigest})).
		WithSpec(spec)
	return appsv1ac.Deployment(RevisionName(p.Projection, p.Contract.Revision), p.Owner.Namespace).
		WithLabels(overlay(map[string]string{LabelStore: Bounded(p.Contract.Store.Name)}, labels)).
		WithOwnerReferences(p.Owner.reference()).
		WithSpec(appsv1ac.DeploymentSpec().
			WithReplicas(p.Replicas).
			WithMinReadySeconds(minReadySeconds).
			WithRevisionHistoryLimit(revisionHistoryLimit).
			WithSelector(metav1ac.LabelSelector().WithMatchLabels(selector)).
			WithStrategy(appsv1ac.DeploymentStrategy().WithType(appsv1.RollingUpdateDeploymentStrategyType).
				WithRollingUpdate(appsv1ac.RollingUpdateDeployment().
					WithMaxSurge(intstr.FromInt32(1)).WithMaxUnavailable(intstr.FromInt32(0)))).
			WithTemplate(template)), nil
}

func httpProbe(path string) *corev1ac.ProbeApplyConfiguration {
	return corev1ac.Probe().WithHTTPGet(corev1ac.HTTPGetAction().
		WithPath(path).WithPort(intstr.FromString(contract.PortName)))
}

// PodDisruptionBudget lets a drain take one pod at a time, and never blocks one with a single replica.
func (p Projector) PodDisruptionBudget() *policyv1ac.PodDisruptionBudgetApplyConfiguration {
	return policyv1ac.PodDisruptionBudget(RevisionName(p.Projection, p.Contract.Revision), p.Owner.Namespace).
		WithLabels(ProjectionLabels(p.Projection, p.Contract.Revision)).
		WithOwnerReferences(p.Owner.reference()).
		WithSpec(policyv1ac.PodDisruptionBudgetSpec().
			WithMaxUnavailable(intstr.FromInt32(1)).
			WithSelector(metav1ac.LabelSelector().WithMatchLabels(ProjectorSelector(p.Projection, p.Contract.Revision))))
}

// Service is the projection's one stable address: it leads to the projectors of the revision that readers see.
func (p Projector) Service() *corev1ac.ServiceApplyConfiguration {
	return corev1ac.Service(Bounded(p.Projection), p.Owner.Namespace).
		WithLabels(ProjectionLabels(p.Projection, "")).
		WithOwnerReferences(p.Owner.reference()).
		WithSpec(corev1ac.ServiceSpec().
			WithType(corev1.ServiceTypeClusterIP).
			WithSelector(ProjectorSelector(p.Projection, p.Contract.Revision)).
			WithPorts(corev1ac.ServicePort().WithName(contract.PortName).WithProtocol(corev1.ProtocolTCP).
				WithPort(contract.Port).WithTargetPort(intstr.FromString(contract.PortName))))
}

// NetworkPolicy lets in what comes to the projector's port and nothing else.
func (p Projector) NetworkPolicy() *networkingv1ac.NetworkPolicyApplyConfiguration {
	return networkingv1ac.NetworkPolicy(Bounded(p.Projection, "projector"), p.Owner.Namespace).
		WithLabels(ProjectionLabels(p.Projection, "")).
		WithOwnerReferences(p.Owner.reference()).
		WithSpec(networkingv1ac.NetworkPolicySpec().
			WithPodSelector(metav1ac.LabelSelector().WithMatchLabels(ProjectorSelector(p.Projection, ""))).
			WithPolicyTypes(networkingv1.PolicyTypeIngress).
			WithIngress(networkingv1ac.NetworkPolicyIngressRule().
				WithPorts(networkingv1ac.NetworkPolicyPort().
					WithProtocol(corev1.ProtocolTCP).WithPort(intstr.FromInt32(contract.Port)))))
}
