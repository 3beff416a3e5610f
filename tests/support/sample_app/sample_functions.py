"""An app with a function of every shape the local host serves; the tests' stand-in for the real one."""

import json
import threading
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from durabletask import task
from durabletask.entities import EntityInstanceId

app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)
more = df.Blueprint()

release = threading.Event()  # what the activity "hold", and a message of that name, wait for
holding = threading.Event()  # set when such a message has come
STORAGE = "AzureWebJobsStorage"


# HTTP


def described(req: func.HttpRequest) -> dict[str, Any]:
    return {
        "method": req.method,
        "url": req.url,
        "params": dict(req.params),
        "route": dict(req.route_params),
        "header": req.headers.get("X-Test"),
        "length": len(req.get_body()),
    }


@app.route(route="echo/{name}/{*rest}", methods=["GET", "POST"])
def echo(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(described(req)), mimetype="application/json", status_code=201)


@app.route(route="echo/fixed", methods=["GET"])
async def echo_fixed(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return func.HttpResponse(
        f"naïve {context.function_name} {req.method}",
        charset="latin-1",
        headers={"X-Answer": "42", "Set-Cookie": "a=b; Path=/"},
    )


@app.route()
def anything(req: func.HttpRequest) -> str:
    return f"{req.method} {len(req.get_body())}"


@app.route(route="open", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def opened(req: func.HttpRequest) -> str:
    return f"{req.method} open"


@app.route(route="fails")
def fails(req: func.HttpRequest) -> func.HttpResponse:
    raise ValueError(req.method)


@app.route(route="odd")
def odd(req: func.HttpRequest) -> Any:
    return req


# Durable clients


@app.route(route="start/{orchestrator}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    data = json.loads(req.get_body() or b"null")
    name = req.route_params["orchestrator"]
    started = await client.schedule_new_orchestration(name, input=data, instance_id=req.params.get("id"))
    return client.create_check_status_response(req, started)


@app.route(route="count/{name}", methods=["GET"])
@app.durable_client_input(client_name="client")
def count(req: func.HttpRequest, client: df.SyncDurableFunctionsClient) -> func.HttpResponse:
    entity = EntityInstanceId("Counter", req.route_params["name"])
    found = client.get_entity(entity)
    return func.HttpResponse(json.dumps(sum(found.get_typed_state().values()) if found else None))


# Queues


@app.queue_trigger(arg_name="message", queue_name="%SAMPLE_REQUESTS%", connection=STORAGE)
@app.queue_output(arg_name="answers", queue_name="%SAMPLE_ANSWERS%", connection=STORAGE)
def answer(message: func.QueueMessage, answers: func.Out[str]) -> None:
    body = message.get_json()
    if "fail" in body:
        raise RuntimeError(body["fail"])
    if "hold" in body:
        holding.set()
        release.wait(30)
    if "many" in body:
        answers.set(body["many"])
    elif "silent" not in body:
        times = [message.insertion_time, message.expiration_time, message.time_next_visible]
        facts = {"id": message.id, "dequeueCount": message.dequeue_count, "popReceipt": bool(message.pop_receipt)}
        answers.set(json.dumps({"got": body, **facts, "aware": all(time and time.tzinfo for time in times)}))


@more.queue_trigger(arg_name="message", queue_name="sample-relay", connection=STORAGE)
@more.queue_output(arg_name="$return", queue_name="%SAMPLE_ANSWERS%", connection=STORAGE)
@more.durable_client_input(client_name="client")
async def relay(message: func.QueueMessage, client: df.DurableFunctionsClient) -> str:
    started = await client.schedule_new_orchestration("greet", input=message.get_body().decode())
    return f"started {started}"


@more.queue_trigger(arg_name="message", queue_name="sample-chatty", connection=STORAGE)
def chatty(message: func.QueueMessage) -> Any:
    return message.id


# Timers

ticks: list[bool] = []  # what the timer function was told: whether it is late


@app.timer_trigger(arg_name="timer", schedule="0 0 3 * * *", run_on_startup=False)
@app.durable_client_input(client_name="client")
async def tick(timer: func.TimerRequest, client: df.DurableFunctionsClient) -> None:
    ticks.append(timer.past_due)
    await client.schedule_new_orchestration("greet", input="timer")


# Orchestrations: native two-argument generators


def greet(ctx: task.OrchestrationContext, name: str) -> Any:
    """A timer, an activity, and nothing more."""
    yield ctx.create_timer(timedelta(milliseconds=20))
    return (yield ctx.call_activity("say_hello", input=name))


def approve(ctx: task.OrchestrationContext, data: Any) -> Any:
    """Waits for an event, or for its deadline."""
    ctx.set_custom_status({"waiting": "decision"})
    decision = ctx.wait_for_external_event("decision")
    late = ctx.create_timer(timedelta(seconds=data.get("seconds", 60)))
    first = yield task.when_any([decision, late])
    return "late" if first is late else decision.get_result()


def count_down(ctx: task.OrchestrationContext, left: int) -> Any:
    """Starts itself anew, each time leaving behind a timer that the next execution must not hear."""
    if left == 0:
        return "done"
    ctx.create_timer(timedelta(seconds=1.5))
    yield ctx.call_activity("say_hello", input=str(left))
    if left == 1:
        started = ctx.current_utc_datetime
        yield ctx.create_timer(timedelta(seconds=2.5))
        return (ctx.current_utc_datetime - started).total_seconds()
    ctx.continue_as_new(left - 1)
    return None


def impatient(ctx: task.OrchestrationContext, round_number: int) -> Any:
    """Starts itself anew while an activity still runs, and then waits for one of the same number."""
    if round_number == 0:
        ctx.call_activity("hold", input="old")
        yield ctx.wait_for_external_event("go")
        ctx.continue_as_new(1)
        return None
    slow = ctx.wait_for_external_event("answer")
    return (yield slow)


def family(ctx: task.OrchestrationContext, names: list[str]) -> Any:
    """Children side by side, and activities beside them."""
    children = [ctx.call_sub_orchestrator("greet", input=name) for name in names]
    return (yield task.when_all([*children, ctx.call_activity("say_hello", input="parent")]))


def bad_family(ctx: task.OrchestrationContext, data: Any) -> Any:
    try:
        yield ctx.call_sub_orchestrator(data["child"], input=data.get("input"), instance_id=data.get("id"))
    except task.TaskFailedError as error:
        return str(error.details.message)


def brittle(ctx: task.OrchestrationContext, message: str) -> Any:
    """Tells the failure of its activity."""
    try:
        yield ctx.call_activity("break", input=message)
    except task.TaskFailedError as error:
        return {"type": error.details.error_type, "message": error.details.message}


def publish(ctx: task.OrchestrationContext, data: Any) -> Any:
    return (yield ctx.call_activity("publish_result", input=data))


def missing(ctx: task.OrchestrationContext, _: Any) -> Any:
    yield ctx.call_activity("nobody")


def hollow(ctx: task.OrchestrationContext, _: Any) -> Any:
    return (yield ctx.call_activity("nothing"))


def held(ctx: task.OrchestrationContext, _: Any) -> Any:
    return (yield ctx.call_activity("hold", input="held"))


def tally(ctx: task.OrchestrationContext, name: str) -> Any:
    """Calls and signals an entity."""
    counter = EntityInstanceId("Counter", name)
    ctx.signal_entity(counter, "add", input={"mark": "signal", "number": 2})
    total = yield ctx.call_entity(counter, "add", input={"mark": "call", "number": 3})
    try:
        yield ctx.call_entity(counter, "refuse")
    except task.TaskFailedError as error:
        return [total, error.details.message]


def lost_entity(ctx: task.OrchestrationContext, _: Any) -> Any:
    yield ctx.call_entity(EntityInstanceId("Nobody", "x"), "add")


def turns(ctx: task.OrchestrationContext, count: int) -> Any:
    """One activity after another: what a turn costs."""
    for turn in range(count):
        yield ctx.call_activity("say_hello", input=str(turn))
    return count


def many(ctx: task.OrchestrationContext, count: int) -> Any:
    """Activities side by side: results that come in while a turn runs."""
    return len((yield task.when_all([ctx.call_activity("say_hello", input=str(each)) for each in range(count)])))


FIRST = (greet, approve, count_down, impatient, family, bad_family, brittle, publish)
REST = (missing, held, hollow, tally, lost_entity, turns, many)
for each in FIRST + REST:
    more.orchestration_trigger(context_name="ctx")(each)


# Activities: bound methods, as the real app registers them


class Activities:
    def say_hello(self, data: str) -> str:
        return f"hello {data}"

    async def nothing(self, data: Any) -> None:  # noqa: ARG002
        return None

    def fail(self, data: str) -> None:
        raise ValueError(data) if data else ValueError

    def hold(self, data: str) -> str:
        release.wait(30)
        return data

    def publish_result(self, data: dict, results: func.Out[str]) -> str:
        results.set(json.dumps(data))
        return "published"


activities = Activities()
more.activity_trigger(input_name="data", activity="say_hello")(activities.say_hello)
more.activity_trigger(input_name="data", activity="nothing")(activities.nothing)
more.activity_trigger(input_name="data", activity="break")(activities.fail)
more.activity_trigger(input_name="data", activity="hold")(activities.hold)
more.queue_output(arg_name="results", queue_name="%SAMPLE_ANSWERS%", connection=STORAGE)(
    more.activity_trigger(input_name="data", activity="publish_result")(activities.publish_result)
)


# An entity


def counter(ctx: Any, operation_input: Any) -> Any:
    """Adds each number once, however often it comes: the mark tells."""
    match ctx.operation:
        case "add":
            numbers = {**ctx.get_state(dict, {}), operation_input["mark"]: operation_input["number"]}
            ctx.set_state(numbers)
            return sum(numbers.values())
        case _:
            raise ValueError(f"no operation {ctx.operation}")


more.entity_trigger(context_name="ctx", entity_name="Counter")(counter)

app.register_functions(more)
