import logging

import structlog

handler = logging.StreamHandler()  # to standard error
handler.setFormatter(
    structlog.stdlib.ProcessorFormatter(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ]
    )
)
logging.getLogger("wolkvox_async").addHandler(handler)
