"""Our list of a hundred kubectl commands: what people type in a working day, with exit code and what must be printed.

Each lane runs in order in a namespace of its own (`-n` is added unless the command names none); lanes run side by side.
A line is (exit code, command, what the output must match). `< NAME` feeds one of `INPUTS` to the command.
"""

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, labels: {app: shop}}
spec:
  replicas: %d
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
        - {name: app, image: "nginx:1.27", resources: {requests: {cpu: 50m, memory: 32Mi}}}
"""
INPUTS = {
    "shop-1": WEB % 1,
    "shop-2": WEB % 2,
    "typo": WEB % 1 + "  replicaz: 3\n",
    "broken": "kind: [",
    "unknown-kind": "apiVersion: example.com/v1\nkind: Unicorn\nmetadata: {name: u}\n",
    "wrong-type": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: [1]}\n",
    "no-name": "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n",
    "replaced": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cfg}\ndata: {a: replaced}\n",
    "generated": "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: made-}\n",
}

WORKLOADS = [
    (0, "create deployment web --image=nginx:1.27 --replicas=2 --port=80", r"deployment.apps/web created"),
    (0, "rollout status deploy/web --timeout=20s", r"successfully rolled out"),
    (0, "get deploy web -o wide", r"CONTAINERS +IMAGES +SELECTOR\s+web +2/2 +2 +2 +\d+s +nginx +nginx:1.27 +app=web"),
    (0, "get pods -o wide", r"IP +NODE +NOMINATED NODE +READINESS GATES\s+web-\S+ +1/1 +Running +0 "),
    (0, "get deploy,rs,pods -l app=web -o name", r"deployment.apps/web\nreplicaset.apps/web-\S+\npod/web-"),
    (0, "set image deploy/web nginx=nginx:1.28", r"image updated"),
    (0, "annotate deploy web kubernetes.io/change-cause=newer", r"annotated"),
    (0, "rollout status deploy/web --timeout=20s", r"successfully rolled out"),
    (0, "rollout history deploy/web", r"REVISION +CHANGE-CAUSE\n1 +<none>\n2 +newer"),
    (0, "rollout history deploy/web --revision=2", r"(?s)revision #2.*Image:\s+nginx:1.28"),
    (0, "rollout undo deploy/web --to-revision=1", r"rolled back"),
    (0, "rollout status deploy/web --timeout=20s", r"successfully rolled out"),
    (1, "rollout undo deploy/web --to-revision=99", r"unable to find specified revision 99 in history"),
    (0, "rollout pause deploy/web", r"paused"),
    (1, "rollout pause deploy/web", r"already paused"),
    (0, "set resources deploy/web -c nginx --limits=cpu=200m,memory=128Mi --requests=cpu=50m", r"requirements updated"),
    (0, "set env deploy/web A=1 B=2", r"env updated"),
    (0, "set env deploy/web --list", r"A=1\nB=2"),
    (0, "rollout resume deploy/web", r"resumed"),
    (0, "rollout status deploy/web --timeout=20s", r"successfully rolled out"),
    (0, "set env deploy/web A-", r"env updated"),
    (0, "scale deploy web --replicas=3", r"scaled"),
    (0, "wait deploy/web --for=condition=Available --timeout=20s", r"condition met"),
    (0, "wait deploy/web --for=jsonpath={.status.readyReplicas}=3 --timeout=20s", r"condition met"),
    (1, "wait deploy/web --for=condition=Nope --timeout=1s", r"timed out waiting for the condition"),
    (0, 'patch deploy web --subresource=scale --type=merge -p \'{"spec":{"replicas":2}}\'', r"patched"),
    (0, "autoscale deploy web --min=2 --max=4 --cpu=80%", r"horizontalpodautoscaler.autoscaling/web autoscaled"),
    (0, "get hpa", r"Deployment/web +cpu: \S+/80% +2 +4"),
    (0, "delete hpa web", r'"web" deleted'),
    (0, "expose deploy web --port=80 --target-port=8080", r"service/web exposed"),
    (0, "get endpointslices", r"web-\S+ +IPv4 +8080"),
    (0, "label deploy web tier=front", r"labeled"),
    (1, "label deploy web tier=back", r"already has a value \(front\), and --overwrite is false"),
    (0, "label deploy web tier=back --overwrite", r"labeled"),
    (0, "label deploy web tier-", r"unlabeled"),
    (0, "annotate deploy web kubernetes.io/change-cause-", r"annotated"),
    (0, "describe deploy web", r"(?s)Name: +web.*StrategyType: +RollingUpdate.*NewReplicaSet:.*ScalingReplicaSet"),
    (0, "rollout restart deploy/web", r"restarted"),
    (0, "rollout status deploy/web --timeout=20s", r"successfully rolled out"),
    (0, "get events --sort-by=.metadata.creationTimestamp --field-selector=reason=ScalingReplicaSet", r"Scaled up"),
    (0, "get rs --sort-by=.metadata.creationTimestamp -o name", r"replicaset.apps/web-"),
    (0, "delete deploy web --cascade=orphan", r'"web" deleted'),
    (0, "get rs -l app=web", r"web-\S+ +2 +2 +2"),
    (0, "delete rs -l app=web --cascade=foreground", r"deleted"),
    (1, "get deploy web", r'deployments.apps "web" not found'),
]

MANIFESTS = [
    (1, "diff -f - < shop-1", r"(?s)\+kind: Deployment.*\+  name: shop"),
    (0, "apply -f - < shop-1", r"deployment.apps/shop created"),
    (0, "diff -f - < shop-1", r"\A\Z"),
    (1, "diff -f - < shop-2", r"-  replicas: 1\n\+  replicas: 2"),
    (0, "apply -f - < shop-2", r"configured"),
    (0, "apply -f - --dry-run=server < shop-1", r"configured \(server dry run\)"),
    (0, "apply -f - --dry-run=client < shop-1", r"configured \(dry run\)"),
    (0, "apply view-last-applied deploy/shop", r"replicas: 2"),
    (0, "apply set-last-applied -f - < shop-1", r"configured"),
    (1, "apply --server-side -f - < shop-1", r"Apply failed with 1 conflict: conflict with .*: .spec.replicas"),
    (0, "apply --server-side --force-conflicts -f - < shop-1", r"serverside-applied"),
    (1, "apply -f - < typo", r'strict decoding error: unknown field "spec.replicaz"'),
    (1, "apply -f - < broken", r"error (converting YAML to JSON|parsing)"),
    (1, "apply -f - < unknown-kind", r'no matches for kind "Unicorn" in version "example.com/v1"'),
    (1, "apply -f - < wrong-type", r"cannot unmarshal array into Go struct field"),
    (1, "create -f - < no-name", r"name or generateName is required"),
    (0, "create -f - < generated", r"configmap/made-\w{5} created"),
    (0, "create cm cfg --from-literal=a=b --from-literal=c=d", r"configmap/cfg created"),
    (0, "get cm cfg -o go-template='{{range $k, $v := .data}}{{$k}}={{$v}};{{end}}'", r"a=b;c=d;"),
    (0, "get cm cfg -o jsonpath='{.data}'", r'\{"a":"b","c":"d"\}'),
    (0, "replace -f - < replaced", r"configmap/cfg replaced"),
    (0, "replace --force -f - < replaced", r"(?s)deleted.*configmap/cfg replaced"),
    (0, "edit cm cfg", r"configmap/cfg edited"),
    (0, "get cm cfg -o yaml", r"a: edited"),
    (0, "rollout status deploy/shop --timeout=20s", r"successfully rolled out"),
    (0, "logs deploy/shop --tail=1", r"\S"),
    (0, "logs -l app=shop --prefix --tail=1", r"\[pod/shop-\S+/app\]"),
    (0, "logs deploy/shop --since=1h --timestamps", r"\d{4}-\d\d-\d\dT\S+Z "),
    (1, "logs deploy/shop -p", r"previous terminated container"),
    (1, "logs deploy/shop -c nope", r"container nope is not valid for pod"),
    (0, "delete -f - < shop-1", r'"shop" deleted'),
]

OBJECTS = [
    (0, "create secret generic s1 --from-literal=p=w", r"secret/s1 created"),
    (0, "get secret s1 -o jsonpath={.data.p}", r"dw=="),
    (0, "create secret docker-registry reg --docker-username=u --docker-password=p", r"secret/reg created"),
    (0, "create serviceaccount robot", r"serviceaccount/robot created"),
    (0, "create token robot", r"\A\S+\.\S+\.\S+\Z"),
    (0, "create role looker --verb=get,list --resource=pods", r"role.rbac.authorization.k8s.io/looker created"),
    (0, "create rolebinding looks --role=looker --serviceaccount={ns}:robot", r"looks created"),
    (0, "auth can-i list pods --as=system:serviceaccount:{ns}:robot", r"yes"),
    (1, "auth can-i delete pods --as=system:serviceaccount:{ns}:robot", r"no"),
    (1, "get secrets --as=bob", r'User "bob" cannot list resource "secrets" in API group "" in the namespace'),
    (0, "get rolebinding looks -o wide", r"Role/looker +\d+s +\S*/robot"),
    (0, "create quota small --hard=configmaps=50,services=10", r"resourcequota/small created"),
    (0, "describe quota small", r"configmaps +\d+ +50"),
    (0, "create service clusterip one --tcp=80:8080", r"service/one created"),
    (0, "create service nodeport two --tcp=80", r"service/two created"),
    (0, "get svc", r"one +ClusterIP +10\.\S+ +<none> +80/TCP +\d+s\ntwo +NodePort +10\.\S+ +<none> +80:3\d{4}/TCP"),
    (0, "create ingress way --rule=foo.com/bar=one:80", r"ingress.networking.k8s.io/way created"),
    (0, "create pdb keep --selector=app=web --min-available=1", r"poddisruptionbudget.policy/keep created"),
    (0, "create job once --image=busybox:1.36 -- echo hi", r"job.batch/once created"),
    (0, "wait job/once --for=condition=Complete --timeout=20s", r"condition met"),
    (0, "create cronjob often --image=busybox:1.36 --schedule='*/5 * * * *' -- date", r"cronjob.batch/often created"),
    (0, "create job now --from=cronjob/often", r"job.batch/now created"),
    (0, "get cronjob often", r"\*/5 \* \* \* \* +<none> +False"),
    (0, "delete all --all", r"deleted"),
    (1, "create cm Bad_Name", r"a lowercase RFC 1123 subdomain must consist of"),
]

NODES = [
    (0, "run one --image=nginx:1.27 --labels=app=one", r"pod/one created"),
    (0, "wait pod/one --for=condition=Ready --timeout=20s", r"condition met"),
    (0, "describe pod one", r"(?s)Status: +Running.*QoS Class: +BestEffort.*Successfully assigned"),
    (0, "get pod one -o jsonpath='{.status.phase}'", r"Running"),
    (0, "exec one -- echo hello", r"hello"),
    (0, "exec one -- hostname", r"one"),
    (3, "exec one -- sh -c 'exit 3'", r"exit code 3"),
    (0, "top pod one", r"one +\d+m +\d+Mi"),
    (0, "top nodes", r"node-1 +\d+m +\d+% +\d+Mi +\d+%"),
    (0, "cordon node-3", r"node/node-3 cordoned"),
    (0, "get node node-3", r"Ready,SchedulingDisabled"),
    (0, "uncordon node-3", r"node/node-3 uncordoned"),
    (0, "taint nodes node-3 maintenance=yes:PreferNoSchedule", r"node/node-3 tainted"),
    (0, "taint nodes node-3 maintenance-", r"node/node-3 untainted"),
    (0, "label node node-3 disk=ssd", r"node/node-3 labeled"),
    (0, "drain node-3 --ignore-daemonsets --force --delete-emptydir-data --dry-run=server", r"drained"),
    (0, "events --for pod/one --types=Normal", r"Scheduled"),
    (0, "events --for pod/one", r"Started"),
    (0, "delete pod one --grace-period=0 --force", r'"one" force deleted'),
    (1, "get pod one", r'pods "one" not found'),
]

QUESTIONS = [
    (0, "version", r"Server Version: v1\.36"),
    (0, "cluster-info", r"Kubernetes control plane.* is running at .*https://127.0.0.1"),
    (0, "api-versions", r"(?s)apps/v1\n.*networking.k8s.io/v1\n.*\nv1\n"),
    (0, "api-resources", r"deployments +deploy +apps/v1 +true +Deployment"),
    (0, "api-resources --namespaced=false -o name", r"(?s)namespaces\nnodes\n.*clusterroles.rbac.authorization.k8s.io"),
    (
        0,
        "explain deploy.spec.template.spec.containers",
        r"(?s)KIND: +Deployment\nVERSION: +v1.*FIELD: containers <\[\]Container>",
    ),
    (0, "explain pod --recursive", r"(?s)KIND: +Pod.*spec\s+<PodSpec>.*containers\s+<\[\]Container>"),
    (1, "explain deploy.spec.nope", r'field "nope" does not exist'),
    (0, "auth can-i create deployments", r"yes"),
    (0, "auth can-i --list", r"\*\.\* +\[\] +\[\] +\[\*\]"),
    (0, "auth whoami", r"Username +admin"),
    (0, "get --raw /healthz", r"ok"),
    (1, "get unicorns", r'the server doesn\'t have a resource type "unicorns"'),
    (0, "get clusterroles", r"NAME +CREATED AT\nadmin +\d{4}-"),
    (0, "get ns -o custom-columns=N:.metadata.name --no-headers", r"(?m)^default$"),
]

LANES = {
    "workloads": WORKLOADS,
    "manifests": MANIFESTS,
    "objects": OBJECTS,
    "nodes": NODES,
    "questions": QUESTIONS,
}
