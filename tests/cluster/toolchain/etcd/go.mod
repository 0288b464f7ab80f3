module backsweep.dev/toolchain/etcd

go 1.23.0

require go.etcd.io/etcd/server/v3 v3.6.4
