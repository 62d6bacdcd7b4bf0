// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/utils/ptr"

	"github.com/projectionist-dev/projectionist/api/v1alpha1"
	"github.com/projectionist-dev/projectionist/contract"
)

func typesUID(s string) types.UID { return types.UID(s) }

// Job is what an action Job is built from.
type Job struct {
	Owner      Owner
	Request    contract.Request
	Image      string
	PullPolicy corev1.PullPolicy
	// Inputs is the digest of what is asked, sequence aside.
	Inputs   string
	Attempt  int
	LastGood *contract.Result
	// ContractConfigMap is mounted for prepare, verify and replay-keys.
	ContractConfigMap string
	Mounts            Mounts
	DeadlineSeconds   int64
	// Projector gives nodeSelector, tolerations, pull secrets and service account; zero: none.
	Projector v1alpha1.ProjectorSpec
	// Projection labels the Job of a projection; empty for the other kinds.
	Projection string
	// Revision is the one that the action is about, Incarnation the UID of its ControllerRevision; empty where there is none.
	Revision, Incarnation string
	// Asked is the highest number of a promote that was asked for; 0: none.
	Asked int64
}

// Name is the same for the same owner, action, inputs and sequence, so that a
// Job that was made but not yet seen cannot be made twice.
func (j Job) Name() string {
	id := Digest(10, j.Owner.UID, string(j.Request.Action), j.Inputs, strconv.FormatInt(j.Request.Sequence, 10))
	const room = MaxName - 1 - 10
	owner := Bounded(j.Owner.Name)
	prefix := owner + "-" + string(j.Request.Action)
	if len(prefix) > room {
		prefix = Bounded(owner[:min(len(owner), 24)], string(j.Request.Action))
	}
	return prefix + "-" + id
}

// ActionLabels select the Jobs of one owner and action.
func ActionLabels(ownerUID string, action contract.Action) map[string]string {
	return map[string]string{LabelOwnerUID: ownerUID, LabelAction: string(action)}
}

// OwnerLabels select all Jobs of one owner.
func OwnerLabels(ownerUID string) map[string]string {
	return map[string]string{LabelOwnerUID: ownerUID}
}

// EncodeRequest gives the text of a request as a container's environment has it. The kubelet makes one of two dollar signs in
// there, and expands $(NAME): as JSON they can be written otherwise.
func EncodeRequest(r contract.Request) (string, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		return "", err
	}
	return strings.ReplaceAll(strings.TrimSpace(out.String()), "$", `\u0024`), nil
}

// ContractOf is the name of the ConfigMap that a pod has its contract from, "" if it has none.
func ContractOf(pod *corev1.PodSpec) string {
	for i := range pod.Volumes {
		if v := &pod.Volumes[i]; v.Name == contractVolume && v.ConfigMap != nil {
			return v.ConfigMap.Name
		}
	}
	return ""
}

// Build gives the Job, to be created once and never patched but for its result.
func (j Job) Build() (*batchv1.Job, error) {
	request, err := EncodeRequest(j.Request)
	if err != nil {
		return nil, err
	}
	// An action is a moment's work of its own size, whatever the projectors need; but who reads the log does what they do.
	placement := j.Projector
	if j.Request.Action != contract.ActionVerify && j.Request.Action != contract.ActionReplayKeys {
		placement.Resources = nil
	}
	placement.Labels, placement.Annotations = nil, nil
	spec, c, err := podSpec(podInput{
		Image: j.Image, PullPolicy: j.PullPolicy, Args: []string{string(j.Request.Action)}, Projector: placement,
		ContractConfigMap: j.ContractConfigMap, Secrets: j.Mounts.Secrets, ConfigMaps: j.Mounts.ConfigMaps,
		Env: []*corev1ac.EnvVarApplyConfiguration{
			corev1ac.EnvVar().WithName(contract.RequestEnv).WithValue(request),
		},
	})
	if err != nil {
		return nil, err
	}
	spec.WithContainers(c).WithRestartPolicy(corev1.RestartPolicyNever)
	if j.Projector.ServiceAccountName != "" {
		spec.WithServiceAccountName(j.Projector.ServiceAccountName)
	}
	podSpec, err := convert[corev1.PodSpec](spec)
	if err != nil {
		return nil, err
	}
	labels := map[string]string{
		LabelName: "projectionist", LabelInstance: Bounded(j.Owner.Name), LabelComponent: ComponentAction,
		LabelManagedBy: ManagedBy, LabelOwnerUID: j.Owner.UID, LabelAction: string(j.Request.Action),
	}
	if j.Projection != "" {
		labels[LabelProjection] = j.Projection
	}
	if j.Revision != "" {
		labels[LabelRevision] = j.Revision
	}
	annotations := map[string]string{
		AnnotationInputs:   j.Inputs,
		AnnotationSequence: strconv.FormatInt(j.Request.Sequence, 10),
		AnnotationAttempt:  strconv.Itoa(j.Attempt),
	}
	if j.Incarnation != "" {
		annotations[AnnotationIncarnation] = j.Incarnation
	}
	if j.Asked > 0 {
		annotations[AnnotationAsked] = strconv.FormatInt(j.Asked, 10)
	}
	if j.LastGood != nil {
		data, err := json.Marshal(j.LastGood)
		if err != nil {
			return nil, err
		}
		annotations[AnnotationLastGood] = string(data)
	}
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: j.Name(), Namespace: j.Owner.Namespace, Labels: labels, Annotations: annotations,
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: j.Owner.APIVersion, Kind: j.Owner.Kind, Name: j.Owner.Name,
				UID: types.UID(j.Owner.UID), Controller: ptr.To(true),
			}},
		},
		Spec: batchv1.JobSpec{
			// The operator repeats with another sequence, so that each run is a Job of its own.
			BackoffLimit:          ptr.To[int32](0),
			ActiveDeadlineSeconds: ptr.To(j.DeadlineSeconds),
			Completions:           ptr.To[int32](1),
			Parallelism:           ptr.To[int32](1),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       *podSpec,
			},
		},
	}, nil
}
