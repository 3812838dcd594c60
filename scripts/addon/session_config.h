// Included before the C++ of TensorFlow.js, which loads each graph with the default settings of a
// session. Here a graph may have its own: a ConfigProto in the file session_config.pb of its
// folder.
#pragma once
#include <fstream>
#include <iterator>
#include <string>

#include "tensorflow/c/c_api.h"

inline TF_Session* LoadSessionWithConfig(const TF_SessionOptions* shared, const TF_Buffer* run_options,
                                         const char* folder, const char* const* tags, int tag_count,
                                         TF_Graph* graph, TF_Buffer* meta_graph, TF_Status* status) {
  std::ifstream file(std::string(folder) + "/session_config.pb", std::ios::binary);
  if (!file) {
    return TF_LoadSessionFromSavedModel(shared, run_options, folder, tags, tag_count, graph,
                                        meta_graph, status);
  }
  const std::string config{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  TF_SessionOptions* own = TF_NewSessionOptions();
  TF_SetConfig(own, config.data(), config.size(), status);
  TF_Session* session = nullptr;
  if (TF_GetCode(status) == TF_OK) {
    session = TF_LoadSessionFromSavedModel(own, run_options, folder, tags, tag_count, graph,
                                           meta_graph, status);
  }
  TF_DeleteSessionOptions(own);
  return session;
}

#define TF_LoadSessionFromSavedModel LoadSessionWithConfig
