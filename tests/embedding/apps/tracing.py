from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from wolkvox_async import LoopClock, OpenEngine, Parts, Tenants, TracingHook, open_engine

exporter = InMemorySpanExporter()  # here stands yours, behind a BatchSpanProcessor
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))


def traced(tenants: Tenants) -> OpenEngine:
    return open_engine(tenants, parts=Parts(hooks=(TracingHook(LoopClock(), provider),)))
