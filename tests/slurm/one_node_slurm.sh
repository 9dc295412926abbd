#!/usr/bin/env bash
# A Slurm cluster of one node on the loopback interface, to run `snakemake --executor slurm` for real.
#   one_node_slurm.sh up FOLDER     start; state and logs go into FOLDER
#   one_node_slurm.sh down FOLDER   stop what `up` started, by its pid files, and remove its configuration
# Needs root, and on Debian: apt-get install --no-install-recommends slurm-wlm munge. Refuses to touch a configuration that is not its own.
set -euo pipefail

MARK="# written by one_node_slurm.sh"
# Slurm's commands look nowhere else inside of a job, because the plugin removes every SLURM_* variable there.
CONF=/etc/slurm
FOLDER=${2:?"usage: one_node_slurm.sh up|down FOLDER"}
HOST=$(hostname -s)

ours() { [[ ! -e $CONF/slurm.conf ]] || grep -qx "$MARK" "$CONF/slurm.conf"; }

down() {
    local file
    if ours && [[ -s $FOLDER/run/slurmctld.pid ]]; then
        timeout 5 scancel --quiet --user="$(id -un)" || true
        for _ in $(seq 25); do [[ -n $(timeout 5 squeue -h 2> /dev/null) ]] || break; sleep 0.2; done
    fi
    for file in "$FOLDER"/run/{slurmd,slurmctld,munged}.pid; do
        if [[ -s $file ]]; then kill "$(cat "$file")" 2> /dev/null || true; fi
    done
    # With a configuration but no controller every later start of snakemake would wait ten seconds for it.
    if ours; then rm -f "$CONF"/{slurm,gres,cgroup}.conf; fi
}

up() {
    ours || { echo "$CONF/slurm.conf is of another cluster." >&2; exit 3; }
    mkdir -p "$FOLDER"/{state,spool,log,run} "$CONF"
    cat > "$CONF/slurm.conf" << CONF
$MARK
ClusterName=one
SlurmctldHost=$HOST(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
# only on the loopback interface
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation=$FOLDER/state
SlurmdSpoolDir=$FOLDER/spool
SlurmctldPidFile=$FOLDER/run/slurmctld.pid
SlurmdPidFile=$FOLDER/run/slurmd.pid
SlurmctldLogFile=$FOLDER/log/slurmctld.log
SlurmdLogFile=$FOLDER/log/slurmd.log
MpiDefault=none
# no cgroups: what belongs to a job is known by its process group, of which no process gets out when its parent is ended before it;
# memory is looked at every two seconds, and a job above its limit is killed
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
JobAcctGatherParams=OverMemoryKill,UsePss
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,bf_interval=2
ReturnToService=2
MinJobAge=300
# more processors and memory than the machine may have: the jobs of the tests are small
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=$HOST NodeAddr=127.0.0.1 CPUs=8 RealMemory=64000 Gres=gpu:1 State=UNKNOWN
PartitionName=main Nodes=$HOST Default=YES DefMemPerCPU=1000 MaxTime=1-00:00:00 State=UP
PartitionName=gpu Nodes=$HOST DefMemPerCPU=1000 MaxTime=1-00:00:00 State=UP
AccountingStorageType=accounting_storage/none
CONF
    # a pretended GPU: it is given out and counted like a real one
    echo "NodeName=$HOST Name=gpu File=/dev/null" > "$CONF/gres.conf"
    echo "CgroupAutomount=no" > "$CONF/cgroup.conf"
    if ! munge -n > /dev/null 2>&1; then
        install -d -o munge -g munge -m 0755 /run/munge
        runuser -u munge -- /usr/sbin/munged
        cp /run/munge/munged.pid "$FOLDER/run/munged.pid"
    fi
    slurmctld
    slurmd
    for _ in $(seq 150); do
        if sinfo -h -o %T 2> /dev/null | grep -qE '^(idle|mixed)'; then return; fi
        sleep 0.2
    done
    tail -n 20 "$FOLDER"/log/*.log >&2
    exit 1
}

case ${1:-} in
    up) up ;;
    down) down ;;
    *) sed -n '2,5p' "$0" >&2; exit 2 ;;
esac
