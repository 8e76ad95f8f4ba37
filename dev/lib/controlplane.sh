# shellcheck shell=bash
# The components etcd, apiserver, controller-manager and scheduler.

kubectl_() { "$(tool_dir kubernetes)/bin/kubectl" --kubeconfig "$STATE/admin.kubeconfig" "$@"; }
kubernetes_bin() { echo "$(tool_dir kubernetes)/bin/$1"; }
healthy() { curl -fsSk --noproxy '*' --max-time 2 "$1"; }

launch_etcd() {
  mkdir -p "$STATE/etcd"
  chmod 700 "$STATE/etcd"
  # No fsync: the data of a development cluster need not outlive a power cut.
  start_process etcd "$(kubernetes_bin etcd)" --name dev --data-dir "$STATE/etcd" \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --unsafe-no-fsync --log-level warn
}
ready_etcd() { healthy http://127.0.0.1:2379/health; }

launch_apiserver() {
  audit_policy >"$STATE/audit-policy.yaml"
  local pki=$STATE/pki
  # The requestheader flags serve no one here, but without them the controller manager and the
  # scheduler log errors for ever.
  start_process apiserver "$(kubernetes_bin kube-apiserver)" \
    --etcd-servers http://127.0.0.1:2379 \
    --bind-address "$NODE_IP" --advertise-address "$NODE_IP" --secure-port 6443 \
    --service-cluster-ip-range "$SERVICE_RANGE" \
    --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" \
    --client-ca-file "$pki/ca.crt" \
    --kubelet-certificate-authority "$pki/ca.crt" --kubelet-preferred-address-types InternalIP \
    --kubelet-client-certificate "$pki/kubelet-client.crt" --kubelet-client-key "$pki/kubelet-client.key" \
    --service-account-issuer https://kubernetes.default.svc \
    --service-account-key-file "$pki/service-account.pub" \
    --service-account-signing-key-file "$pki/service-account.key" \
    --requestheader-client-ca-file "$pki/ca.crt" --requestheader-allowed-names aggregator \
    --requestheader-username-headers X-Remote-User --requestheader-group-headers X-Remote-Group \
    --requestheader-extra-headers-prefix X-Remote-Extra- \
    --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --allow-privileged=true \
    --audit-policy-file "$STATE/audit-policy.yaml" --audit-log-path "$STATE/logs/audit.log" \
    --audit-log-maxsize 100 --audit-log-maxbackup 5
}
ready_apiserver() { kubectl_ get --raw /readyz; }

# Who asked for what: tests count the writes of a user or user agent in it.
audit_policy() {
  cat <<Y
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
Y
}

# launch_controller NAME BINARY FLAG...: the client limits are raised, for benchmarks with many pods.
launch_controller() {
  local name=$1 binary=$2 config=$STATE/$1.kubeconfig
  shift 2
  start_process "$name" "$(kubernetes_bin "$binary")" --bind-address 127.0.0.1 --leader-elect=false \
    --kubeconfig "$config" --authentication-kubeconfig "$config" --authorization-kubeconfig "$config" \
    --kube-api-qps 500 --kube-api-burst 1000 "$@"
}

launch_controller-manager() {
  launch_controller controller-manager kube-controller-manager --use-service-account-credentials \
    --service-account-private-key-file "$STATE/pki/service-account.key" --root-ca-file "$STATE/pki/ca.crt"
}
ready_controller-manager() { healthy https://127.0.0.1:10257/healthz; }

launch_scheduler() { launch_controller scheduler kube-scheduler; }
ready_scheduler() { healthy https://127.0.0.1:10259/healthz; }
