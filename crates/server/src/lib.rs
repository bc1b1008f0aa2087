//! Pages, API, viewer sockets behind one gate.
