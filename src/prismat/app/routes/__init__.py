"""Routes by topic; each module has one function that makes an ``APIRouter``."""
