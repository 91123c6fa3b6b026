//! Types of the Kubernetes API multisig.dev/v1alpha1: resources, conditions, reasons, labels. No client.
