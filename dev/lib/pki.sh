# shellcheck shell=bash
# Certificates, keys and kubeconfigs of the cluster. Made once per state folder.

make_pki() {
  [ ! -f "$STATE/pki/complete-by-strict-rules" ] || return 0
  say "making certificates and kubeconfigs"
  (
    cd "$STATE/pki"
    umask 077
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
      -subj /CN=podtask-dev-ca -addext keyUsage=critical,keyCertSign,cRLSign -keyout ca.key -out ca.crt
    certificate apiserver /CN=kube-apiserver \
      "IP:127.0.0.1,IP:$API_SERVICE_IP,IP:$NODE_IP,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
    certificate kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client DNS:kubelet-client
    certificate admin /O=system:masters/CN=admin DNS:admin
    certificate controller-manager /CN=system:kube-controller-manager DNS:controller-manager
    certificate scheduler /CN=system:kube-scheduler DNS:scheduler
    certificate proxy /CN=system:kube-proxy DNS:proxy
    certificate dns /CN=coredns DNS:coredns
    certificate kubelet "/O=system:nodes/CN=system:node:$NODE_NAME" "IP:$NODE_IP,DNS:$NODE_NAME"
    openssl genrsa -out service-account.key 2048
    openssl rsa -in service-account.key -pubout -out service-account.pub
    local user
    for user in admin controller-manager scheduler proxy dns kubelet; do
      kubeconfig "$user" >"$STATE/$user.kubeconfig"
    done
    touch complete-by-strict-rules
  ) >"$STATE/logs/pki.log" 2>&1 || die "openssl could not make the certificates. Read $STATE/logs/pki.log"
}

certificate() { # NAME SUBJECT SUBJECT-ALT-NAMES
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$2" -keyout "$1.key" -out "$1.csr"
  # All that Python 3.13 and other strict readers want to see.
  printf '%s\n' "subjectAltName=$3" extendedKeyUsage=serverAuth,clientAuth keyUsage=critical,digitalSignature \
    basicConstraints=critical,CA:FALSE subjectKeyIdentifier=hash authorityKeyIdentifier=keyid >"$1.ext"
  openssl x509 -req -days 3650 -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial \
    -extfile "$1.ext" -out "$1.crt"
  rm "$1.csr" "$1.ext"
}

# Keys are embedded: the file works wherever it is copied to.
kubeconfig() { # USER, also the name of its certificate
  cat <<Y
apiVersion: v1
kind: Config
current-context: podtask-dev
contexts:
- {name: podtask-dev, context: {cluster: podtask-dev, user: $1}}
clusters:
- name: podtask-dev
  cluster: {server: "$API_URL", certificate-authority-data: $(base64 -w0 ca.crt)}
users:
- name: $1
  user: {client-certificate-data: $(base64 -w0 "$1.crt"), client-key-data: $(base64 -w0 "$1.key")}
Y
}
