/** What is used of the Kubernetes client, apart, so that the package carries no more of it. */
export { KubeConfig } from "@kubernetes/client-node";
