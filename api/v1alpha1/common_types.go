// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// LocalRef names a resource in the same namespace. References never cross a namespace.
type LocalRef struct {
	// name is the name of the resource, in the same namespace as the resource that refers to it. Example: orders.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	// +required
	Name string `json:"name,omitempty"`
}

// KeyRef names one key of a Secret or a ConfigMap in the same namespace.
type KeyRef struct {
	// name is the name of the Secret or ConfigMap, in the same namespace. Example: main-cluster-ca-cert.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	// +required
	Name string `json:"name,omitempty"`

	// key is the key in it whose value is read. Default: ca.crt.
	// +kubebuilder:default="ca.crt"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	// +optional
	Key string `json:"key,omitempty"`
}

// Expression is a CEL expression. Which variables it sees is said where it is used.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=2048
type Expression string

// SecretKey is the name of a key in a Secret.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
type SecretKey string
