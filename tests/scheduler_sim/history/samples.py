"""Small histories in every format, written by hand: no row of a published trace is among them."""

from __future__ import annotations

import json
from pathlib import Path

OPENB = """\
name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time
pod-a,4000,8192,1,500,,LS,Succeeded,100,400,110
pod-b,8000,16384,2,1000,T4|P100,BE,Running,160,,160
pod-c,1000,1024,0,0,,LS,Failed,130,1000,140
pod-d,1000,1024,1,1000,,BE,Pending,150,250,
"""

HELIOS = """\
job_id,user,vc,gpu_num,cpu_num,node_num,state,submit_time,start_time,end_time,duration,queue
11,u1,vcA,8,32,1,COMPLETED,2020-05-01 10:00:00,2020-05-01 10:00:30,2020-05-01 11:00:30,3600,30
12,u2,vcB,10,3,2,FAILED,2020-05-01 10:05:00,2020-05-01 10:05:00,2020-05-01 10:06:00,60,0
13,u1,vcA,0,4,1,CANCELLED,2020-05-01 10:06:00,None,2020-05-01 10:07:00,0,60
"""

HELIOS_GPUS = "date,vcA,vcB,total\n2020-05-01,8,8,16\n2020-05-02,16,12,28\n"

PAI_TASKS = """\
job1,worker,2.0,Terminated,1000.0,1600.0,600.0,29.296875,50.0,T4
job1,ps,1.0,Terminated,1000.0,1600.0,400.0,8.0,,CPU
job2,worker,1.0,Failed,2000.0,2100.0,800.0,16.0,150.0,V100
job3,worker,1.0,Waiting,,,800.0,16.0,100.0,V100
job4,worker,1.0,Running,2500.0,,800.0,16.0,100.0,V100
"""

PAI_JOBS = """\
job1,inst1,anna,Terminated,940.0,1600.0
job2,inst2,ben,Failed,1990.0,2100.0
"""

PAI_MACHINES = "m1,T4,96,512,2\nm2,V100,96,512,8\nm3,CPU,96,512,0\n"

SWF = """\
; Version: 2.2
; Computer: made up
; MaxNodes: 4
; MaxProcs: 16
; UnixStartTime: 1000000000
    1    0   5  100   4  -1 -1    4   200 -1 1  3 1 1 1 -1 -1 -1
    2   10  -1   60   8  -1 -1   -1    -1 -1 1  4 1 1 1 -1 -1 -1
    3   20   0   30   1  -1 -1    1     0 -1 0 -1 -1 1 1 -1 -1 -1
    4   30  -1   -1  -1  -1 -1    2   100 -1 5  3 1 1 1 -1 -1 -1
    5   40   0 50.4   6  -1 -1    6    40 -1 1  3 1 1 1 -1 -1 -1
"""

_KIM = "kim|ml|gpu|11300|2026-02-03T08:00:00|2026-02-03T08:00:10|2026-02-03T09:00:10|3600|120|2"
_LEE = "lee|bio|gpu|10|2026-02-03T08:01:00|2026-02-03T08:01:00|2026-02-03T08:03:00|120|UNLIMITED|1"
_A100 = "gres/gpu:a100=1,gres/gpu=1,mem=1000M,node=1"
_ONE = "cpu=1,gres/gpu=1,mem=4000M,node=1"
SACCT = "\n".join(
    (
        "JobIDRaw|User|Account|Partition|Priority|Submit|Start|End|ElapsedRaw|TimelimitRaw|NNodes|"
        "ReqTRES|AllocTRES|State",
        f"70|{_KIM}|billing=8,cpu=8,gres/gpu=8,mem=64G,node=2|"
        "billing=8,cpu=8,gres/gpu:h100=8,gres/gpu=8,mem=64G,node=2|COMPLETED",
        f"71|{_LEE}|cpu=3,{_A100}|cpu=4,{_A100}|CANCELLED by 20001",
        "72|lee|bio|cpu|10|2026-02-03T08:02:00|None|2026-02-03T08:03:00|0|60|1|"
        "cpu=4,mem=4000M,node=1||CANCELLED",
        "73|kim|ml|gpu|10|2026-02-03T08:03:00|2026-02-03T08:04:00|Unknown|99|60|1|"
        f"{_ONE}|{_ONE}|RUNNING",
        "",
    )
)


def philly_job(**changes: object) -> dict[str, object]:
    """One job of the Philly log: two attempts, the second on 3 + 5 GPUs."""
    job: dict[str, object] = {
        "status": "Pass",
        "vc": "vc1",
        "jobid": "app_1",
        "user": "uma",
        "submitted_time": "2017-09-01 12:00:00",
        "attempts": [
            {
                "start_time": "2017-09-01 12:00:10",
                "end_time": "2017-09-01 12:01:10",
                "detail": [{"ip": "m1", "gpus": ["gpu0"]}],
            },
            {
                "start_time": "2017-09-01 12:02:00",
                "end_time": "2017-09-01 12:04:00",
                "detail": [
                    {"ip": "m1", "gpus": ["gpu0", "gpu1", "gpu2"]},
                    {"ip": "m2", "gpus": ["gpu0", "gpu1", "gpu2", "gpu3", "gpu4"]},
                ],
            },
        ],
    }
    return job | changes


PHILLY = json.dumps(
    [
        philly_job(),
        philly_job(jobid="app_2", submitted_time="2017-09-01 11:59:00", attempts=[]),
        philly_job(jobid="app_3", submitted_time="2017-09-01 11:00:00", user="vic"),
    ],
    indent=4,
)

PHILLY_MACHINES = "machineId,number of GPUs, single GPU mem\nm1,2, 12GB\nm2,4, 24GB\n"

EVERY = {
    "helios": HELIOS,
    "openb": OPENB,
    "pai": PAI_TASKS,
    "philly": PHILLY,
    "sacct": SACCT,
    "swf": SWF,
}
"""A sample of each format."""


def written(folder: Path, text: str, name: str = "history") -> Path:
    """The text as a file in the folder."""
    path = folder / name
    path.write_text(text)
    return path
