"""What can go wrong in a way that the user can mend: one clear line each."""


class UqcvError(Exception):
    """Base of all errors whose message is written for the user."""


class InputError(UqcvError):
    """A file, a setting or an argument is not what it should be."""


class BundleError(InputError):
    """A bundle is missing, incomplete, of another format, or altered."""


class UnknownElementError(InputError):
    """A structure holds an element that the model was not trained on."""


class PlumedInputError(InputError):
    """PLUMED refused an input; the message shows PLUMED's own words."""


class MissingEngineError(UqcvError):
    """A part of the installation is missing, such as the PLUMED kernel."""


class LabelingError(UqcvError):
    """A reference calculation did not give a usable label."""


class BrokenStructureError(UqcvError):
    """A structure is no longer what it was: a bond, a contact or the chirality broke."""


class IdentityError(InputError):
    """A bias, a checkpoint or a walker belongs to another collective variable, system or input."""
